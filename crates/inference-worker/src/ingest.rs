//! What brings requests: admits them to the queue, refuses them at once, or answers them at once.
//!
//! A worker has a lane for each connection that brings requests, and a subject is subscribed to on every lane, as if each were a worker
//! of its own; the broker shares requests out among them. A subscription is read on the thread of its connection. Requests that are
//! cheap and few are answered there too and over the same connection: handing them to a compute thread and back would take longer than
//! the answer. As soon as anything waits, requests go through the queue, so that it knows all that waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use leat_contract::subjects::QUEUE_GROUP;
use leat_messaging::{Connection, Message, Subscription};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::Error;
use crate::admission::{self, Full};
use crate::answering::Answering;
use crate::compute::send_all;
use crate::queue::Backlog;
use crate::referenced;
use crate::refusal::refuse_all_over;
use crate::served::{QueueLimits, RouteTable};
use crate::shared::Shared;
use crate::work::{Answer, Target, Work};

/// Messages that are taken from the subscription at once. Lists of so many are soon as long as they will ever be, so that memory stays what it
/// was when once in a while many more come together.
const MESSAGES_MAX: usize = 128;
/// So many messages one after the other, with never less than a full list of them there, are many.
const MANY: usize = 1024;
/// Work that is done at once, without a compute thread, in nanoseconds; and how much of it before the connection may send and receive.
const AT_ONCE_NS_MAX: u64 = 1_000_000;
const AT_ONCE_NS_PART: u64 = 200_000;
/// Requests of such a part: half of those that came together, so that the broker and who asked have something to do while the other half
/// is answered, but at least eight, which pay for sending them, and no more than 64. The memory that parts need stays what it was soon after
/// the start, since longer ones are rare.
const PART: std::ops::RangeInclusive<usize> = 8..=64;
/// A part that takes so long was no light work after all.
const AT_ONCE_LATE: Duration = Duration::from_millis(2);
/// How long a lane rests after it had to refuse something, while the worker has much more to do than that. What comes meanwhile is taken
/// together, which costs a fraction of waking for each, and what it costs is taken from those that are answered.
const REST: Duration = Duration::from_millis(2);
const REST_BACKLOG: Duration = Duration::from_millis(20);
/// What ending a subscription may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that brings requests, with what answers those that do not go through the queue.
pub(crate) struct Lane {
    connection: Connection,
    /// Only the thread of the connection takes it.
    at_once: Mutex<Answering>,
    /// When its last rest ended.
    rested: Mutex<Instant>,
}

impl Lane {
    pub(crate) fn new(connection: Connection, answering: Answering) -> Arc<Self> {
        Arc::new(Self { connection, at_once: Mutex::new(answering), rested: Mutex::new(Instant::now()) })
    }

    /// Rests, unless it did since `received`: of several models whose requests are refused one is enough.
    fn rest(&self, received: Instant) {
        let mut rested = self.rested.lock().unwrap_or_else(PoisonError::into_inner);
        if received >= *rested {
            self.connection.rest(REST);
            *rested = Instant::now();
        }
    }
}

/// The subscriptions to one subject with the tasks that read them.
#[derive(Debug)]
pub(crate) struct Ingest {
    stop: CancellationToken,
    ended: Vec<oneshot::Receiver<()>>,
}

impl Ingest {
    /// Subscribes; when this returns, the broker knows it.
    ///
    /// # Errors
    /// When the broker is away.
    pub(crate) async fn start(shared: &Arc<Shared>, subject: String, target: Target) -> Result<Self, Error> {
        let mut ingest = Self { stop: CancellationToken::new(), ended: Vec::new() };
        for lane in &shared.lanes {
            if let Err(error) = ingest.begin(shared, lane, &subject, &target).await {
                ingest.stop().await;
                return Err(error);
            }
        }
        Ok(ingest)
    }

    async fn begin(
        &mut self,
        shared: &Arc<Shared>,
        lane: &Arc<Lane>,
        subject: &str,
        target: &Target,
    ) -> Result<(), Error> {
        let subscription = lane.connection.queue_subscribe(subject, QUEUE_GROUP).await?;
        lane.connection.round_trip(DRAIN_TIMEOUT).await?;
        let (end, ended) = oneshot::channel();
        let reader = Reader::new(shared.clone(), lane.clone(), target.clone());
        let asked = self.stop.clone();
        let fetching = reader.fetching.clone();
        let reading = async move {
            reader.read(subscription, asked).await;
            fetching.close();
            fetching.wait().await;
            // Whoever stops it may no longer wait.
            let _ = end.send(());
            Ok::<(), Error>(())
        };
        shared.context.tasks.spawn_finite_on("ingest", reading, &lane.connection.runtime());
        self.ended.push(ended);
        Ok(())
    }

    /// Ends the subscriptions; when this returns, everything the broker had sent is in the queue or answered.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for ended in self.ended {
            // It ends in any case; that the task is gone means the same.
            let _ = ended.await;
        }
    }
}

struct Reader {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    target: Target,
    messages: Vec<Message>,
    /// How many came before with full lists.
    in_a_row: usize,
    admitted: Vec<Work>,
    /// What is answered next of what is answered at once.
    part: Vec<Work>,
    answers: Vec<Answer>,
    refused: [Vec<Work>; Full::ALL.len()],
    /// The fetching of bodies that are objects.
    fetching: TaskTracker,
}

impl Reader {
    fn new(shared: Arc<Shared>, lane: Arc<Lane>, target: Target) -> Self {
        Self {
            shared,
            lane,
            target,
            messages: Vec::new(),
            in_a_row: 0,
            admitted: Vec::new(),
            part: Vec::new(),
            answers: Vec::new(),
            refused: Default::default(),
            fetching: TaskTracker::new(),
        }
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

    /// Gives false when it did not end in order: then nothing more comes than what is there.
    async fn drain(&mut self, subscription: &mut Subscription) -> bool {
        let is_connected = self.lane.connection.is_connected();
        let drained =
            if is_connected { subscription.drain(DRAIN_TIMEOUT).await.map(|()| true) } else { Ok(false) };
        if let Err(error) = &drained {
            warn!(model = %self.target.served.name, %error, "a subscription did not end in order");
        }
        if matches!(drained, Ok(true)) {
            return true;
        }
        self.messages.extend(std::iter::from_fn(|| subscription.try_next()));
        self.admit().await;
        false
    }

    async fn admit(&mut self) {
        let received = Instant::now();
        self.shared.traffic.came(received);
        let routes = self.target.served.routes();
        let (limits, mut backlog) = (routes.limits, self.shared.queue.backlog());
        self.in_a_row = if self.messages.len() < MESSAGES_MAX { 0 } else { self.in_a_row + MESSAGES_MAX };
        let is_light = self.in_a_row < MANY && backlog.waiting() == 0;
        let can_be_at_once = is_light && routes.batching.max_delay_us == 0;
        let mut messages = std::mem::take(&mut self.messages);
        for message in messages.drain(..) {
            let inflight = &self.shared.context.inflight;
            let Some(work) = Work::new(message, received, (&self.target, &limits), inflight) else {
                self.shared.metrics.without_reply.inc();
                continue;
            };
            let mut full = admission::judge(&self.shared, &work, &limits, &mut backlog);
            if full == Some(Full::Model) && self.make_way(&work, &limits, &backlog) {
                full = admission::judge(&self.shared, &work, &limits, &mut backlog);
            }
            match full {
                None if work.body_object().is_some() => {
                    referenced::start(&self.shared, &self.fetching, work);
                }
                None => self.admitted.push(work),
                Some(full) => full.of(&mut self.refused).push(work),
            }
        }
        self.messages = messages;
        if can_be_at_once && self.is_cheap(&routes) {
            self.answer_at_once().await;
        } else {
            self.queue();
        }
        if self.refuse(&limits).await && admission::everything_takes(&self.shared) >= REST_BACKLOG {
            // The connection sends the refusals.
            tokio::task::yield_now().await;
            self.lane.rest(received);
        }
    }

    /// Takes places from less urgent requests of the model for a request; gives whether there is room for it now.
    fn make_way(&mut self, urgent: &Work, limits: &QueueLimits, backlog: &Backlog) -> bool {
        let priority = urgent.waiting.priority;
        if !backlog.has_less_urgent(priority) {
            return false;
        }
        let pushed_out = admission::make_way(&self.shared, urgent, limits).or_else(|| {
            // Those that came a moment ago are not in the queue yet.
            let excess = urgent.target.served.excess(limits, urgent.payload.len());
            let is_enough = |work: &Work| {
                let frees = excess.count <= 1 && work.payload.len() >= excess.bytes;
                frees && work.waiting.priority > priority
            };
            let newest = self.admitted.iter().rposition(is_enough)?;
            Some(vec![self.admitted.remove(newest)])
                .inspect(|newest| newest.iter().for_each(Work::leave_queue))
        });
        let has_room = pushed_out.is_some();
        Full::Model.of(&mut self.refused).extend(pushed_out.into_iter().flatten());
        has_room
    }

    /// Whether what was admitted is answered soon: as far as is known of requests before, and of the plans, which are others after a
    /// rollout.
    fn is_cheap(&self, routes: &RouteTable) -> bool {
        let bytes = self.admitted.iter().map(|work| work.payload.len()).sum();
        let row_ns = match &self.target.pinned {
            Some(version) => version.plan.row_ns(),
            None => routes.versions.iter().map(|(version, _)| version.plan.row_ns()).fold(0.0, f64::max),
        };
        let least_ns = (row_ns * self.admitted.len() as f64) as u64;
        let usual_ns = self.target.served.pace.batch_ns(bytes);
        usual_ns.is_some_and(|usual_ns| usual_ns.max(least_ns) <= AT_ONCE_NS_MAX)
    }

    /// Answers what was admitted, the most urgent first. When it takes much longer than it seemed, what is left goes into the queue.
    async fn answer_at_once(&mut self) {
        let priority = |work: &Work| work.waiting.priority;
        // Sorting takes memory of its own, as much as there are requests, and they hardly ever need it.
        if !self.admitted.is_sorted_by_key(priority) {
            self.admitted.sort_by_key(priority);
        }
        let part = self.admitted.len().div_ceil(2).clamp(*PART.start(), *PART.end());
        while !self.admitted.is_empty() {
            let begun = Instant::now();
            self.answer_part(part).await;
            // The connection sends them.
            tokio::task::yield_now().await;
            let is_late = begun.elapsed() > AT_ONCE_LATE;
            lock(&self.lane.at_once).settle(&self.shared);
            if is_late {
                return self.queue();
            }
        }
    }

    async fn answer_part(&mut self, part: usize) {
        let mut cost_ns = 0;
        let mut fits = |work: &Work| {
            cost_ns += work.waiting.cost_ns;
            cost_ns < AT_ONCE_NS_PART
        };
        let count = self.admitted.iter().take(part).take_while(|work| fits(work)).count().max(1);
        self.part.extend(self.admitted.drain(..count));
        let answers = &mut self.answers;
        lock(&self.lane.at_once).answer(&self.shared, &mut self.part, &mut |ready| answers.append(ready));
        send_all(&self.shared, &self.lane.connection, answers).await;
    }

    fn queue(&mut self) {
        let pushed_out = Full::Worker.of(&mut self.refused);
        let before = pushed_out.len();
        let must_sweep_sooner = self.shared.queue.put(&mut self.admitted, pushed_out);
        pushed_out.iter().skip(before).for_each(Work::leave_queue);
        if must_sweep_sooner {
            self.shared.alarm.notify_one();
        }
    }

    /// Gives whether there was anything to refuse.
    async fn refuse(&mut self, limits: &QueueLimits) -> bool {
        let is_any = self.refused.iter().any(|refused| !refused.is_empty());
        for full in Full::ALL {
            let refused = full.of(&mut self.refused);
            if !refused.is_empty() {
                let refused = std::mem::take(refused);
                let error = admission::error(&self.shared, full, limits, &refused);
                refuse_all_over(&self.lane.connection, &self.shared, refused, &error).await;
            }
        }
        is_any
    }
}

/// A plan that panics is caught below this; after any other panic the service stops.
fn lock(answering: &Mutex<Answering>) -> MutexGuard<'_, Answering> {
    answering.lock().unwrap_or_else(PoisonError::into_inner)
}
