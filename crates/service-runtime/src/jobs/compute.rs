//! The thread that computes one job.

use std::any::Any;
use std::thread::JoinHandle;

use leat_contract::{ErrorCode, ErrorDetail};
use tokio::sync::oneshot;

use super::{Failure, Product, Pulse, Work};

/// A computation on its thread. Dropping it leaves the thread to end by itself, which its [`Pulse`] tells it to.
#[derive(Debug)]
pub(super) struct Computation {
    outcome: oneshot::Receiver<Result<Product, Failure>>,
    thread: Option<JoinHandle<()>>,
}

impl Computation {
    /// Starts it. Fails when the system gives no thread.
    pub(super) fn start<W: Work>(
        input: W::Input,
        resume: Option<Vec<u8>>,
        mut pulse: Pulse,
    ) -> Result<Self, Failure> {
        let (sender, outcome) = oneshot::channel();
        let computing = move || {
            // When nobody waits for the outcome any more, nothing is to be told.
            let _ = sender.send(W::compute(input, resume, &mut pulse));
        };
        let thread = std::thread::Builder::new().name(format!("leat-{}", W::KIND)).spawn(computing);
        let refused = |error| defect(format!("the system gives no thread: {error}"));
        Ok(Self { outcome, thread: Some(thread.map_err(refused)?) })
    }

    /// Waits for the outcome. Safe to be cancelled and called again until it has given one. A panic may be the machine's
    /// fault, so it is tried again like any failure.
    pub(super) async fn outcome(&mut self) -> Result<Product, Failure> {
        match (&mut self.outcome).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // The sender is dropped while the thread unwinds: it ends in a moment.
                let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
                Err(defect(format!(
                    "the computation panicked: {}",
                    ended.err().map_or_else(String::new, panic_text)
                )))
            }
        }
    }
}

fn defect(message: String) -> Failure {
    Failure::Transient(ErrorDetail::new(ErrorCode::Internal, message))
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
