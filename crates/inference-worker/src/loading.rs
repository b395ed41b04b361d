//! The thread on which models are read, compiled and warmed up: one after the other, with low priority and with rests (`yielding`), so
//! that requests to models that serve already wait less for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::yielding::yield_to_others;

/// Loads that may wait for their turn; further ones wait before they are handed in.
const LOADS_MAX: usize = 64;
/// A tenth of a processor that is busy otherwise, all of one that is not.
const STEPS: i32 = 10;

type Load = Box<dyn FnOnce() + Send>;

/// Where loads are handed in. The thread ends when it is gone.
#[derive(Debug)]
pub(crate) struct Loading {
    sender: mpsc::Sender<Load>,
    /// How many loads there are that requests wait for.
    awaited: Arc<AtomicUsize>,
}

/// Says until it is dropped that requests wait for a load.
#[derive(Debug)]
pub(crate) struct Awaited(Arc<AtomicUsize>);

/// Where a load says what came of it. It may go on with what nobody waits for.
pub(crate) struct Done<T>(oneshot::Sender<T>);

impl Loading {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn start() -> Result<Self, Error> {
        let (sender, mut loads) = mpsc::channel::<Load>(LOADS_MAX);
        let work = move || {
            yield_to_others(STEPS);
            while let Some(load) = loads.blocking_recv() {
                load();
            }
        };
        let started = std::thread::Builder::new().name("loading".to_owned()).spawn(work);
        started.map_err(|error| failed(&error.to_string()))?;
        Ok(Self { sender, awaited: Arc::default() })
    }

    /// Requests wait for what will be handed in: no other load may let it wait for its rests.
    pub(crate) fn awaited(&self) -> Awaited {
        self.awaited.fetch_add(1, Ordering::Relaxed);
        Awaited(self.awaited.clone())
    }

    /// Whether requests wait for a load.
    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    /// Runs something on the thread, after what was handed in before, and gives what it says.
    ///
    /// # Errors
    /// When it panics or ends without a word.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        load: impl FnOnce(Done<T>) + Send + 'static,
    ) -> Result<T, Error> {
        let (done, outcome) = oneshot::channel();
        let load = std::panic::AssertUnwindSafe(move || load(Done(done)));
        // A model that makes the compiler panic costs itself, never the thread.
        let load = move || drop(std::panic::catch_unwind(load));
        self.sender.send(Box::new(load)).await.map_err(|_| failed("it has ended"))?;
        outcome.await.map_err(|_| failed("it panicked: this is a defect"))
    }
}

impl<T> Done<T> {
    /// Says what came of it. Whoever asked may want something else by now.
    pub(crate) fn with(self, value: T) {
        let _ = self.0.send(value);
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn failed(reason: &str) -> Error {
    Error::Thread { name: "loading".to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loads_are_awaited_as_long_as_somebody_says_so() {
        let loading = Loading::start().unwrap();
        let (one, other) = (loading.awaited(), loading.awaited());
        drop(one);
        assert!(loading.is_awaited());
        drop(other);
        assert!(!loading.is_awaited());
    }

    #[tokio::test]
    async fn a_load_that_panics_costs_only_itself() {
        let loading = Loading::start().unwrap();
        let panicking =
            loading.run(|_: Done<()>| assert!(std::hint::black_box(false), "a test asked for a panic"));
        assert!(panicking.await.unwrap_err().to_string().contains("panicked"));
        assert_eq!(loading.run(|done| done.with(7)).await.unwrap(), 7);
    }
}
