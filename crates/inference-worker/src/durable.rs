//! Requests that are answered some time: taken from the stream of asynchronous work, asked on the live route like any other, and
//! their answers kept for whoever looks them up.
//!
//! A request leaves the stream only after its answer is stored or a dead letter says why there is none, so it is answered at
//! least once; the answer has an id, so a second one to the same request within two minutes is dropped. A request that was submitted
//! as `<model>/<id>`, so that handing it in again changes nothing, is not asked again either, as long as an answer to it is kept that is no error.

use std::sync::Arc;
use std::time::Duration;

use leat_contract::assets::AssetRole;
use leat_contract::headers::{MESSAGE_ID, TRACEPARENT, TRACESTATE};
use leat_contract::{DurableRequest, Encoding, ErrorCode, ErrorDetail, ModelName, RequestId};
use leat_messaging::{Delivery, Error as MessagingError, EventLog, Headers, Reply};
use leat_service_runtime::unix_ms;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Error;
use crate::shared::Shared;

/// How long one look into the stream takes when it is empty.
const TAKE: Duration = Duration::from_secs(2);
/// After so many attempts in a row that nobody answered a request may be what ends the workers that get it. Some of them may be lost to workers that
/// hang for other reasons.
const UNANSWERED_MAX: u32 = 10;
/// How long an attempt is still waited for when the worker leaves; another worker makes the next one.
const GRACE: Duration = Duration::from_secs(2);
/// How long to wait before asking a busy worker again, unless it says how long, and when the broker is away.
const PAUSE: Duration = Duration::from_millis(200);

/// The tasks that answer durable requests to one model.
#[derive(Debug)]
pub(crate) struct Durable {
    stop: CancellationToken,
    ended: Vec<oneshot::Receiver<()>>,
}

impl Durable {
    /// Starts as many as the settings say.
    pub(crate) fn start(shared: &Arc<Shared>, model: &ModelName) -> Self {
        let stop = CancellationToken::new();
        let start = |_| {
            let (end, ended) = oneshot::channel();
            let answering = Answering {
                log: shared.context.storage.event_log(AssetRole::Results),
                shared: shared.clone(),
                model: model.clone(),
                stop: stop.clone(),
            };
            shared.context.tasks.spawn_finite("durable", async move {
                answering.work().await;
                // Whoever stops it may no longer wait.
                let _ = end.send(());
                Ok::<(), Error>(())
            });
            ended
        };
        let ended = (0..shared.settings.durable_requests_max).map(start).collect();
        Self { stop, ended }
    }

    /// Takes no more; what is being answered is answered or given back.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        for ended in self.ended {
            // It ends in any case; that the task is gone means the same.
            let _ = ended.await;
        }
    }
}

struct Answering {
    shared: Arc<Shared>,
    model: ModelName,
    log: EventLog,
    stop: CancellationToken,
}

/// What became of one request.
enum Outcome {
    Answered(Reply),
    Failed(ErrorDetail),
    /// Its answer is kept already.
    Repeated,
    /// The worker leaves, or the broker may have forgotten that it has the request; some worker goes on.
    Interrupted,
}

impl Answering {
    async fn work(&self) {
        let mut queue = self.shared.context.storage.async_queue(&self.model);
        while let Some(Err(error)) = self.stop.run_until_cancelled(queue.prepare()).await {
            warn!(model = %self.model, %error, "durable requests cannot be taken yet");
            self.pause(10 * PAUSE).await;
        }
        while let Some(taken) = self.stop.run_until_cancelled(queue.take_any(TAKE)).await {
            let outcome = match taken {
                Ok(Some(delivery)) => self.handle(delivery).await,
                Ok(None) => Ok(()),
                // Somebody deleted the consumer, or the broker lost it.
                Err(missing @ MessagingError::Missing { .. }) => queue.prepare().await.and(Err(missing)),
                Err(error) => Err(error),
            };
            if let Err(error) = outcome {
                // What was taken and not ended is given to some worker again.
                warn!(model = %self.model, %error, "a durable request was not ended");
                self.pause(PAUSE).await;
            }
        }
        queue.close().await;
    }

    async fn pause(&self, pause: Duration) {
        // Being stopped ends the pause; what follows looks for itself.
        let _ = self.stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }

    async fn handle(&self, delivery: Delivery) -> Result<(), MessagingError> {
        let request = match DurableRequest::read(delivery.payload()) {
            Ok(request) => request,
            Err(error) => return self.refuse(delivery, error.into()).await,
        };
        let accepted_at_ms = delivery.accepted_at_ms();
        let until = request.waits_until(accepted_at_ms, self.shared.settings.durable_wait_max_ms);
        let subject = self.shared.context.subjects.result(&request.id);
        let outcome = if self.is_repeated(&delivery, &request, &subject).await {
            Outcome::Repeated
        } else if delivery.attempt() > Delivery::ATTEMPTS_MAX {
            let reason = format!("{} workers took it and ended", Delivery::ATTEMPTS_MAX);
            Outcome::Failed(ErrorDetail::new(ErrorCode::Internal, reason))
        } else {
            self.ask(&delivery, until).await
        };
        let message_id = request.result_message_id(&self.model, accepted_at_ms);
        match outcome {
            Outcome::Interrupted => delivery.hand_over().await,
            Outcome::Repeated => {
                self.shared.metrics.durable_repeated.inc();
                delivery.done().await
            }
            Outcome::Answered(reply) => {
                let told = self.log.publish(subject, Some(&message_id), reply.into_payload()).await;
                if let Err(error) = told {
                    // It is asked again, and no worker has failed at it.
                    delivery.hand_over().await?;
                    return Err(error);
                }
                self.shared.metrics.durable_answered.inc();
                delivery.done().await
            }
            Outcome::Failed(detail) => {
                self.log.publish_error(subject, &message_id, &detail, request.encoding).await?;
                self.give_up(delivery, &detail.to_string()).await
            }
        }
    }

    /// Whether a request that may not be handed in twice was answered before, and not by an error. The stream knows that for two minutes only.
    async fn is_repeated(&self, delivery: &Delivery, request: &DurableRequest, subject: &str) -> bool {
        let submitted_as = format!("{}/{}", self.model, request.id);
        if delivery.submitted_as() != Some(&submitted_as) {
            return false;
        }
        match self.log.last_reply(subject).await {
            Ok(kept) => {
                let message_id = kept.as_ref().and_then(|reply| reply.header(MESSAGE_ID));
                message_id.is_some_and(|message_id| request.is_answered_by(&self.model, message_id))
            }
            // An error that is kept is no answer; where nobody knows, a second answer is better than none.
            Err(_) => false,
        }
    }

    /// Asks the live route until there is an answer, an error that waiting cannot mend, or no time left.
    async fn ask(&self, delivery: &Delivery, until: u64) -> Outcome {
        let subject = self.shared.context.subjects.infer(&self.model);
        let connection = &self.shared.context.connections.control;
        let (reconnects, mut unanswered) = (connection.reconnects(), 0);
        let attempt = Duration::from_millis(self.shared.settings.durable_attempt_ms);
        let headers = trace_of(delivery);
        let mut progress = tokio::time::interval(Delivery::PROGRESS_EVERY);
        let mut leaving = std::pin::pin!(self.leaves());
        loop {
            let left = Duration::from_millis(until.saturating_sub(unix_ms()));
            if left.is_zero() {
                let reason = "the request waited for longer than it may";
                return Outcome::Failed(ErrorDetail::new(ErrorCode::DeadlineExceeded, reason));
            }
            // Nobody has a request in hand for long after it should have been answered: the monitor ends those that no worker does.
            let patience = attempt.min(left);
            let (headers, payload) = (headers.clone(), delivery.payload().clone());
            let mut asking =
                std::pin::pin!(connection.request_with(subject.as_str(), headers, payload, patience));
            let answer = loop {
                tokio::select! {
                    answer = &mut asking => break answer,
                    _ = progress.tick() => go_on(delivery).await,
                    () = &mut leaving => return Outcome::Interrupted,
                }
            };
            let error = match answer {
                Ok(reply) => return Outcome::Answered(reply),
                Err(MessagingError::Service(detail)) if !detail.retryable => {
                    return Outcome::Failed(detail);
                }
                Err(error) => error,
            };
            if self.stop.is_cancelled() || connection.reconnects() > reconnects {
                return Outcome::Interrupted;
            }
            let is_silent = matches!(error, MessagingError::Timeout { .. });
            unanswered = if is_silent { unanswered + 1 } else { 0 };
            if unanswered >= UNANSWERED_MAX {
                let reason = format!("{unanswered} workers got it and did not answer within {attempt:?}");
                return Outcome::Failed(ErrorDetail::new(ErrorCode::Internal, reason));
            }
            self.pause(pause_after(&error).min(left)).await;
            go_on(delivery).await;
        }
    }

    /// Ends when the worker has been leaving for as long as an attempt is waited for.
    async fn leaves(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Gives up what is no request. Its caller is told why, if its id can be told, by the payload or by what it was handed in as.
    async fn refuse(&self, delivery: Delivery, error: Error) -> Result<(), MessagingError> {
        let payload = delivery.payload();
        let handed_in_as = || {
            let id = delivery.submitted_as()?.strip_prefix(self.model.as_str())?.strip_prefix('/')?;
            id.parse::<RequestId>().ok()
        };
        if let Some(id) = DurableRequest::id_of(payload).or_else(handed_in_as) {
            let encoding = Encoding::detect(payload).unwrap_or(Encoding::Json);
            let request = DurableRequest { id, encoding, deadline_ms: None };
            let message_id = request.result_message_id(&self.model, delivery.accepted_at_ms());
            let subject = self.shared.context.subjects.result(&request.id);
            self.log.publish_error(subject, &message_id, &error.detail(), encoding).await?;
        }
        self.give_up(delivery, &error.to_string()).await
    }

    async fn give_up(&self, delivery: Delivery, reason: &str) -> Result<(), MessagingError> {
        self.shared.metrics.durable_given_up.inc();
        delivery.dead_letter(reason).await
    }
}

/// Says that the request is being worked on. A broker that is away will give it to somebody else too, which costs a second answer; to stop
/// asking would cost the first.
async fn go_on(delivery: &Delivery) {
    if let Err(error) = delivery.progress().await {
        debug!(%error, "the broker was not told that a durable request is being asked");
    }
}

/// The trace that a request was handed in with, for whoever answers it.
fn trace_of(delivery: &Delivery) -> Headers {
    let mut headers = Headers::new();
    for name in [TRACEPARENT, TRACESTATE] {
        if let Some(value) = delivery.message().header(name) {
            headers.insert(name, value);
        }
    }
    headers
}

fn pause_after(error: &MessagingError) -> Duration {
    match error {
        MessagingError::Service(ErrorDetail { retry_after_ms: Some(wait_ms), .. }) => {
            Duration::from_millis(*wait_ms)
        }
        _ => PAUSE,
    }
}
