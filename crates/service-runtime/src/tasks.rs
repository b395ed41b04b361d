//! Background tasks with a name and an owner: none ends unnoticed.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, debug_span, error};

use crate::Error;

/// Starts tasks and watches them. When one fails, panics, or ends before it should, the service stops with its error.
/// A cheap handle: clones watch the same tasks.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
    abort: CancellationToken,
    failure: Arc<Mutex<Option<Error>>>,
}

/// When a task may end without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    UntilShutdown,
    Finite,
}

impl Tasks {
    /// Watches tasks; a failure cancels `shutdown`.
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            shutdown,
            abort: CancellationToken::new(),
            failure: Arc::new(Mutex::new(None)),
        }
    }

    /// Starts a task that works until shutdown is asked for. Ending earlier, even well, stops the service.
    pub fn spawn<F, E>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        self.start(name, Life::UntilShutdown, future, &Handle::current());
    }

    /// Starts a task that ends by itself. Only its failure stops the service.
    pub fn spawn_finite<F, E>(&self, name: &'static str, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        self.start(name, Life::Finite, future, &Handle::current());
    }

    /// As [`Tasks::spawn_finite`], on another runtime.
    pub fn spawn_finite_on<F, E>(&self, name: &'static str, future: F, runtime: &Handle)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        self.start(name, Life::Finite, future, runtime);
    }

    /// Number of tasks that have not ended.
    pub fn running(&self) -> usize {
        self.tracker.len()
    }

    fn start<F, E>(&self, name: &'static str, life: Life, future: F, runtime: &Handle)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let abort = self.abort.clone();
        let running = async move { abort.run_until_cancelled(future).await.unwrap_or(Ok(())) };
        // Not at the level of information: to enter a span that is recorded takes a microsecond, with every poll of a task, and some tasks
        // answer thousands of requests a second.
        let running = runtime.spawn(running.instrument(debug_span!("task", name)));
        let tasks = self.clone();
        self.tracker.spawn(async move {
            let ended = running.await;
            tasks.judge(name, life, ended);
        });
    }

    fn judge<E: Display>(&self, name: &'static str, life: Life, ended: Result<Result<(), E>, JoinError>) {
        let is_early = life == Life::UntilShutdown && !self.shutdown.is_cancelled();
        let reason = match ended {
            Ok(Ok(())) if is_early => "it ended before shutdown".to_owned(),
            Ok(Ok(())) => return debug!(name, "task ended"),
            Ok(Err(failure)) => failure.to_string(),
            Err(panicked) => panic_message(panicked),
        };
        error!(name, reason, "task failed");
        self.fail(Error::Task { name, reason });
    }

    /// Stops the service with this error, unless another one came first.
    pub(crate) fn fail(&self, failure: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.shutdown.cancel();
    }

    /// Waits until every task has ended. Dropping the wait does not stop them.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Stops the tasks that are still running, at their next await.
    pub(crate) fn abort(&self) {
        self.abort.cancel();
    }

    /// The first failure, once.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What a panic said, or that a task was cancelled from outside.
pub(crate) fn panic_message(ended: JoinError) -> String {
    let Ok(panic) = ended.try_into_panic() else { return "it was cancelled".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> (Tasks, CancellationToken) {
        let shutdown = CancellationToken::new();
        (Tasks::new(shutdown.clone()), shutdown)
    }

    #[tokio::test]
    async fn an_error_stops_the_service_and_names_the_task() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("telemetry", async { Err("no more paper") });
        shutdown.cancelled().await;
        assert_eq!(tasks.take_failure().unwrap().to_string(), "task telemetry failed: no more paper");
    }

    #[tokio::test]
    async fn a_panic_stops_the_service_with_its_message() {
        let (tasks, shutdown) = tasks();
        tasks.spawn_finite("load", async {
            assert!(std::hint::black_box(false), "broken invariant");
            Ok::<(), String>(())
        });
        shutdown.cancelled().await;
        let failure = tasks.take_failure().unwrap();
        assert!(failure.to_string().contains("panicked: broken invariant"), "{failure}");
    }

    #[tokio::test]
    async fn an_early_end_stops_the_service() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("ingest", async { Ok::<(), String>(()) });
        shutdown.cancelled().await;
        assert!(tasks.take_failure().unwrap().to_string().contains("ended before shutdown"));
    }

    #[tokio::test]
    async fn finite_tasks_may_end_and_others_may_end_after_shutdown() {
        let (tasks, shutdown) = tasks();
        tasks.spawn_finite("load", async { Ok::<(), String>(()) });
        let asked = shutdown.clone();
        tasks.spawn("ingest", async move {
            asked.cancelled().await;
            Ok::<(), String>(())
        });
        tokio::task::yield_now().await;
        assert!(!shutdown.is_cancelled());
        shutdown.cancel();
        tasks.ended().await;
        assert!(tasks.take_failure().is_none());
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn the_first_failure_is_the_one_reported() {
        let (tasks, shutdown) = tasks();
        let asked = shutdown.clone();
        tasks.spawn("second", async move {
            asked.cancelled().await;
            Err("a consequence")
        });
        tasks.spawn("first", async { Err("the cause") });
        tasks.ended().await;
        assert!(tasks.take_failure().unwrap().to_string().contains("the cause"));
    }

    #[tokio::test]
    async fn a_task_can_stop_the_service_with_an_error_of_its_own() {
        let (tasks, shutdown) = tasks();
        let failing = tasks.clone();
        tasks.spawn("connection", async move {
            let (url, reason) = ("nats://here".to_owned(), "who are you".to_owned());
            failing.fail(leat_messaging::Error::Unauthorized { url, reason }.into());
            Ok::<(), String>(())
        });
        shutdown.cancelled().await;
        tasks.ended().await;
        assert_eq!(tasks.take_failure().unwrap().exit_code(), crate::exit_code::REFUSED);
    }

    #[tokio::test]
    async fn tasks_that_do_not_end_are_aborted() {
        let (tasks, shutdown) = tasks();
        tasks.spawn("stuck", std::future::pending::<Result<(), String>>());
        shutdown.cancel();
        tasks.abort();
        tasks.ended().await;
        assert!(tasks.take_failure().is_none());
    }
}
