//! The store of bodies that no message can hold: fetched and stored within bounds of number, memory and time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::assets::AssetRole;
use leat_contract::{ErrorDetail, headers, limits};
use leat_messaging::{Connection, Error as MessagingError, Headers, Objects, Subject};
use leat_service_runtime::{Context, Tasks};
use prometheus_client::metrics::counter::Counter;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::claim::Claim;
use crate::metrics::{BodySizes, WorkerMetrics};
use crate::work::{Answer, Content, LargeReply};
use crate::{Error, Settings};

/// The memory is counted in steps of this size.
const STEP_BYTES: u64 = 1024;
/// When a caller whose reply found no memory may try again.
const RETRY_AFTER_MS: u64 = 1000;

/// The store of bodies, and what may be under way from and to it.
#[derive(Debug)]
pub(crate) struct Payloads {
    objects: Objects,
    tasks: Tasks,
    /// The threads of connections and of models have other things to do.
    runtime: Handle,
    replies_lost: Counter,
    sizes: BodySizes,
    turns: Semaphore,
    memory: Arc<Semaphore>,
    body_bytes_max: u64,
    timeout: Duration,
}

/// A body with its share of the memory for those that are under way.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) share: OwnedSemaphorePermit,
}

impl Payloads {
    /// The store under the settings of a worker; what it does runs where this is called.
    pub(crate) fn new(settings: &Settings, context: &Context, metrics: &WorkerMetrics) -> Arc<Self> {
        let all_bytes = settings.objects_bytes_max as u64;
        let steps = usize::try_from(all_bytes.div_ceil(STEP_BYTES)).unwrap_or(usize::MAX);
        Arc::new(Self {
            objects: context.storage.objects(AssetRole::Payloads),
            tasks: context.tasks.clone(),
            runtime: Handle::current(),
            replies_lost: metrics.replies_lost.clone(),
            sizes: metrics.bodies.clone(),
            turns: Semaphore::new(settings.objects_at_once),
            memory: Arc::new(Semaphore::new(steps.min(Semaphore::MAX_PERMITS))),
            body_bytes_max: all_bytes.min(limits::PAYLOAD_BYTES_MAX as u64),
            timeout: settings.object_timeout(),
        })
    }

    /// Starts a task where it delays no request.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task = async move {
            task.await;
            Ok::<(), Error>(())
        };
        self.tasks.spawn_finite_on(name, task, &self.runtime);
    }

    /// Fetches the body of a request.
    ///
    /// # Errors
    /// When there is none, when it is too large, and when it does not come in time.
    pub(crate) async fn fetch(&self, name: &str) -> Result<Body, Error> {
        let fetched = tokio::time::timeout(self.timeout, self.fetch_in_turn(name)).await;
        fetched.map_err(|_| Error::BodySlow { what: "fetched", after: self.timeout })?
    }

    async fn fetch_in_turn(&self, name: &str) -> Result<Body, Error> {
        let _turn = self.turns.acquire().await.map_err(|_| MessagingError::Closed)?;
        let missing = || Error::BodyMissing { name: name.chars().take(64).collect() };
        let bytes = self.objects.size_when_stored(name).await?.ok_or_else(missing)?;
        if bytes > self.body_bytes_max {
            return Err(Error::BodyTooLarge { bytes, bytes_max: self.body_bytes_max });
        }
        let share = self.memory.clone().acquire_many_owned(steps(bytes)).await;
        let share = share.map_err(|_| MessagingError::Closed)?;
        match self.objects.get_within(name, bytes).await {
            Ok(bytes) => {
                self.sizes.request(bytes.len());
                Ok(Body { bytes: bytes.into(), share })
            }
            Err(MessagingError::Missing { .. }) => Err(missing()),
            Err(error) => Err(error.into()),
        }
    }

    /// Answers with an object, beside everything else.
    pub(crate) fn send(self: &Arc<Self>, connection: &Connection, answer: Answer) {
        let (own, connection) = (self.clone(), connection.clone());
        self.spawn("reply object", async move {
            let Answer { reply, content, _escort } = answer;
            let Content::Object(large) = content else { return };
            if own.answer(&connection, reply, large).await.is_err() {
                own.replies_lost.inc();
            }
        });
    }

    async fn answer(
        &self,
        connection: &Connection,
        reply: Subject,
        LargeReply { bytes, encoding, claim }: LargeReply,
    ) -> Result<(), MessagingError> {
        let name = match self.store(bytes, claim.as_deref()).await {
            Ok(name) => name,
            Err(refusal) => return connection.publish_error(reply, &refusal, encoding).await,
        };
        let named = Headers::new().with(headers::BODY_OBJECT, &name);
        connection.publish_with(reply, named, Bytes::new()).await
    }

    /// Stores a reply and gives its name. It is in memory already, so it does not wait for room as requests do.
    async fn store(&self, bytes: Bytes, claim: Option<&Claim>) -> Result<String, ErrorDetail> {
        let Ok(_share) = self.memory.try_acquire_many(steps(bytes.len() as u64)) else {
            let reason = "other requests and replies fill the memory for those that are objects".to_owned();
            return Err(Error::Overloaded { reason, retry_after_ms: RETRY_AFTER_MS }.detail());
        };
        let size = bytes.len();
        let until = Instant::now() + self.timeout;
        let until = claim.map_or(until, |claim| claim.due.min(until));
        let storing = tokio::time::timeout_at(until.into(), self.objects.put_unique(bytes)).await;
        let slow = |_| match claim {
            Some(claim) if claim.due <= until => claim.expired(),
            _ => Error::BodySlow { what: "stored", after: self.timeout },
        };
        let stored = storing.map_err(slow).and_then(|stored| stored.map_err(Error::from));
        stored.inspect(|_| self.sizes.reply(size)).map_err(|error| error.detail())
    }
}

fn steps(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(STEP_BYTES)).unwrap_or(u32::MAX)
}
