//! The threads that answer requests: take what is ready, have it answered, repeat.

use std::sync::Arc;
use std::time::Duration;

use leat_messaging::{Connection, Error as MessagingError, Subject};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::answering::Answering;
use crate::patience::Patience;
use crate::queue::Enough;
use crate::shared::Shared;
use crate::work::{Answer, Content, LargeReply, Work};
use crate::{Error, Settings};

/// A compute thread; it ends when the queue is closed and empty.
#[derive(Debug)]
pub(crate) struct ComputeThread {
    name: String,
    ended: oneshot::Receiver<()>,
}

impl ComputeThread {
    /// Starts a thread.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub(crate) fn start(index: usize, shared: Arc<Shared>, answering: Answering) -> Result<Self, Error> {
        let name = format!("compute {index}");
        let (end, ended) = oneshot::channel();
        let sender = Sender { runtime: Handle::current(), shared: shared.clone(), under_way: None };
        let mut computing = Computing { index, shared, answering, sender, patience: Patience::default() };
        let started = std::thread::Builder::new().name(name.clone()).spawn(move || {
            computing.work();
            // Nobody listens any more when the worker has given up waiting.
            let _ = end.send(());
        });
        let failed = |error: std::io::Error| Error::Thread { name: name.clone(), reason: error.to_string() };
        started.map_err(failed)?;
        Ok(Self { name, ended })
    }

    /// Waits until the thread has ended.
    ///
    /// # Errors
    /// When it panicked.
    pub(crate) async fn ended(self) -> Result<(), Error> {
        let panicked = |_| Error::Thread { name: self.name.clone(), reason: "it panicked".to_owned() };
        self.ended.await.map_err(panicked)
    }
}

/// What one thread works with.
struct Computing {
    index: usize,
    shared: Arc<Shared>,
    answering: Answering,
    sender: Sender,
    patience: Patience,
}

/// What hands answers to the thread of the connection that replies, where they are sent without waking it for each.
struct Sender {
    /// On which a compute thread waits.
    runtime: Handle,
    shared: Arc<Shared>,
    /// The answers of one batch at most, and how many there were; the task gives their emptied list back.
    under_way: Option<(JoinHandle<Vec<Answer>>, usize)>,
}

impl Computing {
    fn work(&mut self) {
        let shared = self.shared.clone();
        let Settings { batch_requests_max, .. } = shared.settings;
        let mut taken = Vec::with_capacity(batch_requests_max);
        while shared.queue.take(self.index, &mut taken, batch_requests_max) {
            self.wait_for_more(&mut taken);
            let sender = &mut self.sender;
            self.answering.answer(&shared, &mut taken, &mut |answers| sender.send(answers));
            self.answering.settle(&shared);
        }
        self.sender.finish();
    }

    /// Waits for a larger batch when the deployment says so, it paid lately, and nobody else is held up: everything taken is
    /// for one model, and the wait ends when a request for another comes, or one that has less time. Rows are known only once a request is
    /// read, so they are guessed here by the bytes of the requests.
    fn wait_for_more(&mut self, taken: &mut Vec<Work>) {
        let Some(first) = taken.first() else { return };
        let served = first.target.served.clone();
        let is_same = |work: &Work| Arc::ptr_eq(&work.target.served, &served);
        let batching = served.routes().batching.clone();
        if batching.max_delay_us == 0 {
            return;
        }
        let wanted = batching.preferred_size.unwrap_or(batching.max_size);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        // As many requests as have so many rows, when the others are like these.
        let rows = served.pace.rows(taken.len(), taken.iter().map(|work| work.payload.len()).sum());
        let wanted = wanted.saturating_mul(taken.len()).div_ceil(rows.max(1));
        let wanted = wanted.min(self.shared.settings.batch_requests_max);
        let is_alone = taken.len() < wanted && taken.iter().all(is_same);
        if !is_alone || !self.patience.should_wait() {
            return;
        }
        let delay = Duration::from_micros(batching.max_delay_us.into());
        let latest = |work: &Work| work.waiting.gathers_until(delay, work.received);
        let Some(until) = taken.iter().map(latest).min() else { return };
        let can_wait = |work: &Work| is_same(work) && latest(work) >= until;
        let before = taken.len();
        self.shared.queue.take_until(self.index, taken, Enough { count: wanted, until }, can_wait);
        self.patience.waited(taken.len() - before);
    }
}

impl Sender {
    /// Takes the answers, once those before are sent: a connection that is stuck holds up the thread.
    fn send(&mut self, answers: &mut Vec<Answer>) {
        let mut sending = std::mem::replace(answers, self.finish());
        let (shared, count) = (self.shared.clone(), sending.len());
        let task = self.shared.context.connections.reply.runtime().spawn(async move {
            send_all(&shared, &shared.context.connections.reply, &mut sending).await;
            sending
        });
        self.under_way = Some((task, count));
    }

    /// Waits until everything is sent and gives the emptied list back.
    fn finish(&mut self) -> Vec<Answer> {
        let Some((task, count)) = self.under_way.take() else { return Vec::new() };
        self.runtime.block_on(task).unwrap_or_else(|_| {
            // The connection's thread has ended before it sent them.
            self.shared.metrics.replies_lost.inc_by(count as u64);
            Vec::new()
        })
    }
}

/// Sends the answers that are there, in one go: the connection writes them together.
pub(crate) async fn send_all(shared: &Shared, connection: &Connection, answers: &mut Vec<Answer>) {
    let (mut lost, mut is_stuck) = (0, false);
    for answer in answers.drain(..) {
        if is_stuck {
            lost += 1;
        } else if matches!(answer.content, Content::Object(..)) {
            shared.payloads.send(connection, answer);
        } else if let Err(error) = send(connection, answer.reply, answer.content).await {
            // A broker that took no answer for so long holds up those who wait for the next ones no longer.
            is_stuck = matches!(error, MessagingError::Timeout { .. });
            lost += 1;
        }
    }
    shared.metrics.replies_lost.inc_by(lost);
}

/// The one place from which a request is answered, except by an object.
pub(crate) async fn send(
    connection: &Connection,
    reply: Subject,
    content: Content,
) -> Result<(), MessagingError> {
    match content {
        Content::Result(bytes) => connection.publish(reply, bytes).await,
        Content::Object(LargeReply { bytes, .. }) => {
            let limit = connection.payload_bytes_max();
            Err(MessagingError::TooLarge { bytes: bytes.len(), limit })
        }
        Content::Refusal(detail, encoding) => connection.publish_error(reply, &detail, encoding).await,
    }
}
