//! The answers of a stream, for a client that takes them in time.
//!
//! What is not taken is not asked for either, so whatever the stream holds, such as the half of a message that its client has begun, would be
//! held for as long as the client likes: pings keep its connection, and so do other streams. A client that reads slowly is one that reads,
//! so that there is more time while something happens on the connection, but not without end.

use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc::{Permit, Receiver, Sender, channel};
use tokio::time::timeout;
use tonic::Status;
use tracing::{Instrument, Span};

use crate::connection::Running;
use crate::panics::noticed;

/// How many times as long a client may take for an answer while something happens on its connection.
const WAITS_MAX: usize = 10;

/// What comes out of the task that answers.
enum Step<T> {
    Answer(Result<T, Status>),
    End(Result<(), Status>),
}

/// The same answers. Their stream ends when its client takes none of them, and nothing happens on its connection, for so long.
pub(super) fn in_time<T: Send + 'static>(
    answers: impl Stream<Item = Result<T, Status>> + Send + 'static,
    patience: Duration,
    running: Option<Running>,
) -> impl Stream<Item = Result<T, Status>> + Send {
    // One answer that waits to be taken, and the end.
    let (sender, receiver) = channel(2);
    let answering = answer(answers, sender, Patience { patience, running });
    tokio::spawn(noticed(answering.instrument(Span::current())));
    stream::unfold(Some(receiver), |receiver| async move { take(receiver?).await })
}

async fn take<T>(mut receiver: Receiver<Step<T>>) -> Option<(Result<T, Status>, Option<Receiver<Step<T>>>)> {
    match receiver.recv().await {
        Some(Step::Answer(answer)) => Some((answer, Some(receiver))),
        Some(Step::End(Ok(()))) => None,
        Some(Step::End(Err(status))) => Some((Err(status), None)),
        // The task ended in a panic, which was logged.
        None => Some((Err(Status::internal("the stream was ended by a fault of the gateway")), None)),
    }
}

async fn answer<T>(
    answers: impl Stream<Item = Result<T, Status>>,
    sender: Sender<Step<T>>,
    patience: Patience,
) {
    let Ok(end) = sender.reserve().await else { return };
    let mut answers = std::pin::pin!(answers);
    loop {
        let answer = tokio::select! {
            answer = answers.next() => answer,
            () = sender.closed() => return,
        };
        let Some(answer) = answer else { return end.send(Step::End(Ok(()))) };
        match patience.place(&sender).await {
            Ok(place) => place.send(Step::Answer(answer)),
            Err(status) => return end.send(Step::End(Err(status))),
        }
    }
}

struct Patience {
    patience: Duration,
    /// The connection counts as busy as long as this is there.
    running: Option<Running>,
}

impl Patience {
    /// A place for the next answer.
    async fn place<'a, T>(&self, sender: &'a Sender<T>) -> Result<Permit<'a, T>, Status> {
        for _ in 0..WAITS_MAX {
            if let Ok(place) = timeout(self.patience, sender.reserve()).await {
                return place.map_err(|_| Status::cancelled("the client left"));
            }
            let is_quiet = |running: &Running| running.quiet_for() >= self.patience;
            if self.running.as_ref().is_none_or(is_quiet) {
                break;
            }
        }
        Err(Status::deadline_exceeded(format!("no answer was taken within {:?}", self.patience)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tonic::Code;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn counted(asked: &Arc<AtomicUsize>) -> impl Stream<Item = Result<usize, Status>> + use<> {
        let asked = asked.clone();
        stream::repeat(()).map(move |()| Ok(asked.fetch_add(1, Ordering::Relaxed)))
    }

    #[tokio::test(start_paused = true)]
    async fn answers_come_in_order_and_end_as_they_ended() {
        let answers = stream::iter([Ok(1), Ok(2), Err(Status::not_found("three"))]);
        let answers: Vec<_> = in_time(answers, PATIENCE, None).collect().await;
        assert!(matches!(&answers[..2], [Ok(1), Ok(2)]), "{answers:?}");
        assert_eq!(answers[2].as_ref().unwrap_err().code(), Code::NotFound);
        assert_eq!(answers.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answer_is_given_up_and_told_so() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut answers = Box::pin(in_time(counted(&asked), PATIENCE, None));
        for number in 0..5 {
            assert_eq!(answers.next().await.unwrap().unwrap(), number);
            tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
        }
        tokio::time::sleep(2 * PATIENCE).await;
        assert_eq!(Arc::strong_count(&asked), 1, "what was to be answered is gone");
        let rest: Vec<_> = answers.collect().await;
        assert_eq!(rest.last().unwrap().as_ref().unwrap_err().code(), Code::DeadlineExceeded);
        assert_eq!(rest.len(), 2, "one that waited and the end");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_is_asked_for_no_more() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut answers = Box::pin(in_time(counted(&asked).chain(stream::pending()), PATIENCE, None));
        answers.next().await.unwrap().unwrap();
        drop(answers);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(Arc::strong_count(&asked), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_is_no_orderly_end() {
        let broken = stream::repeat_with(|| -> Result<(), Status> { panic!("on purpose") });
        let answers: Vec<_> = in_time(broken, PATIENCE, None).collect().await;
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].as_ref().unwrap_err().code(), Code::Internal);
    }
}
