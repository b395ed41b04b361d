//! One subscription that brings requests: admits them to the queue, or refuses them at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leat_contract::subjects::QUEUE_GROUP;
use leat_messaging::{Message, Subscription};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::Error;
use crate::admission::{self, Full};
use crate::refusal::refuse_all;
use crate::shared::Shared;
use crate::work::{Target, Work};

/// Messages that are taken from the subscription at once.
const MESSAGES_MAX: usize = 256;
/// What ending a subscription may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A subscription with the task that reads it.
#[derive(Debug)]
pub(crate) struct Ingest {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Ingest {
    /// Subscribes; when this returns, the broker knows it.
    ///
    /// # Errors
    /// When the broker is away.
    pub(crate) async fn start(shared: &Arc<Shared>, subject: String, target: Target) -> Result<Self, Error> {
        let connection = &shared.context.connections.ingest;
        let turn = shared.subscribing.acquire().await;
        let subscription = connection.queue_subscribe(subject, QUEUE_GROUP).await?;
        connection.round_trip(DRAIN_TIMEOUT).await?;
        drop(turn);
        let stop = CancellationToken::new();
        let (end, ended) = oneshot::channel();
        let reader = Reader::new(shared.clone(), target);
        let asked = stop.clone();
        shared.context.tasks.spawn_finite("ingest", async move {
            reader.read(subscription, asked).await;
            // Whoever stops it may no longer wait.
            let _ = end.send(());
            Ok::<(), Error>(())
        });
        Ok(Self { stop, ended })
    }

    /// Ends the subscription; when this returns, everything the broker had sent is in the queue or answered.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It ends in any case; that the task is gone means the same.
        let _ = self.ended.await;
    }
}

struct Reader {
    shared: Arc<Shared>,
    target: Target,
    messages: Vec<Message>,
    admitted: Vec<Work>,
    refused: [Vec<Work>; Full::ALL.len()],
}

impl Reader {
    fn new(shared: Arc<Shared>, target: Target) -> Self {
        Self { shared, target, messages: Vec::new(), admitted: Vec::new(), refused: Default::default() }
    }

    async fn read(mut self, mut subscription: Subscription, stop: CancellationToken) {
        let mut is_draining = false;
        loop {
            let taken = tokio::select! {
                taken = subscription.next_batch(&mut self.messages, MESSAGES_MAX) => Some(taken),
                () = stop.cancelled(), if !is_draining => None,
            };
            match taken {
                Some(0) => return,
                Some(_) => self.admit().await,
                None if !self.drain(&mut subscription).await => return,
                None => is_draining = true,
            }
        }
    }

    /// Gives false when the broker is away: then there is nothing more to come.
    async fn drain(&self, subscription: &mut Subscription) -> bool {
        let _turn = self.shared.subscribing.acquire().await;
        if !self.shared.context.connections.ingest.is_connected() {
            return false;
        }
        let drained = subscription.drain(DRAIN_TIMEOUT).await;
        if let Err(error) = &drained {
            warn!(model = %self.target.served.name, %error, "a subscription did not end in order");
        }
        drained.is_ok()
    }

    async fn admit(&mut self) {
        let received = Instant::now();
        let limits = self.target.served.routes().limits;
        let mut backlog = self.shared.queue.backlog();
        for message in self.messages.drain(..) {
            let Some(work) = Work::new(message, received, &self.target, &self.shared.context.inflight) else {
                self.shared.metrics.without_reply.inc();
                continue;
            };
            match admission::judge(&self.shared, &work, &limits, &mut backlog) {
                None => self.admitted.push(work),
                Some(full) => full.of(&mut self.refused).push(work),
            }
        }
        let pushed_out = Full::Worker.of(&mut self.refused);
        let before = pushed_out.len();
        let must_sweep_sooner = self.shared.queue.put(&mut self.admitted, pushed_out);
        pushed_out.iter().skip(before).for_each(Work::leave_queue);
        if must_sweep_sooner {
            self.shared.alarm.notify_one();
        }
        for full in Full::ALL {
            let refused = full.of(&mut self.refused);
            if !refused.is_empty() {
                let refused = std::mem::take(refused);
                let error = admission::error(&self.shared, full, &limits, &refused);
                refuse_all(&self.shared, refused, &error).await;
            }
        }
    }
}
