//! One request on its way through the worker, and the answer to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::{Encoding, Envelope, ErrorCode, ErrorDetail, ModelVersion, Priority, RequestId, headers};
use leat_messaging::{Message, Subject};
use leat_service_runtime::{Inflight, InflightGuard};
use tracing::{Span, field};

use crate::Error;
use crate::claim::Claim;
use crate::loaded::LoadedVersion;
use crate::queue::Queued;
use crate::served::{QueueLimits, RouteTable, ServedModel};
use crate::sticky;
use crate::waiting::Waiting;

/// Where requests of one subscription go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) served: Arc<ServedModel>,
    /// The version of a pinned subscription; none on the live route.
    pub(crate) pinned: Option<Arc<LoadedVersion>>,
}

impl Target {
    /// The version that answers the next request, with the routes it was chosen by. `sticky` is what the request's key comes
    /// to, if it has one.
    pub(crate) fn choose(&self, sticky: Option<u64>) -> Option<(Arc<LoadedVersion>, Arc<RouteTable>)> {
        let routes = self.served.routes();
        let version = match (&self.pinned, sticky) {
            (Some(version), _) => version.clone(),
            (None, Some(key)) => routes.sticky(key)?.clone(),
            (None, None) => routes.next()?.clone(),
        };
        Some((version, routes))
    }

    /// Whether both are the same subscription's.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let is_same_pin = match (&self.pinned, &other.pinned) {
            (None, None) => true,
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            _ => false,
        };
        is_same_pin && Arc::ptr_eq(&self.served, &other.served)
    }

    /// Counts requests that were refused without being run: for the micro protocol, and with the version that would most
    /// likely have answered.
    pub(crate) fn count_refused(&self, code: ErrorCode, requests: usize) {
        let names = std::iter::repeat_n(code.name(), requests);
        self.served.answered(0, Duration::ZERO, names);
        let routes = self.served.routes();
        let Some(version) = self.pinned.as_ref().or_else(|| routes.principal()) else { return };
        let mut counts = version.meter.counts();
        (0..requests).for_each(|_| counts.refused(code));
    }
}

/// A request that was admitted and not yet answered.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) payload: Bytes,
    pub(crate) reply: Subject,
    pub(crate) received: Instant,
    pub(crate) target: Target,
    /// What its key comes to, when it has one.
    pub(crate) sticky: Option<u64>,
    pub(crate) waiting: Waiting,
    /// The version it was parked for.
    pub(crate) wanted: Option<Arc<LoadedVersion>>,
    /// What it says of bodies that no message can hold; most requests say nothing.
    pub(crate) by_object: Option<Box<ByObject>>,
    /// Goes with the request until it is answered.
    pub(crate) escort: Escort,
}

/// What the headers of a request say of bodies that no message can hold.
#[derive(Debug)]
pub(crate) struct ByObject {
    /// The object that is the body of the request, until it is fetched.
    body: Option<String>,
    /// How large an object its caller takes as the reply; 0 for none.
    reply_bytes_max: usize,
}

impl ByObject {
    fn of(message: &Message) -> Option<Box<Self>> {
        let body = message.header(headers::BODY_OBJECT).map(ToOwned::to_owned);
        let reply_bytes_max = message.header(headers::REPLY_OBJECT_BYTES_MAX);
        let reply_bytes_max = reply_bytes_max.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        (body.is_some() || reply_bytes_max > 0).then(|| Box::new(Self { body, reply_bytes_max }))
    }
}

/// What must live exactly as long as a request is not answered.
#[derive(Debug)]
pub(crate) struct Escort {
    /// The span of a request that came with a trace.
    span: Option<Span>,
    _inflight: InflightGuard,
}

impl Escort {
    pub(crate) fn new(span: Option<Span>, inflight: InflightGuard) -> Self {
        Self { span, _inflight: inflight }
    }

    /// Notes in the span what is known once the request was read.
    pub(crate) fn note(&self, id: Option<&RequestId>, version: ModelVersion) {
        let Some(span) = &self.span else { return };
        // Signed, since the attributes of a span know no other whole numbers.
        span.record("version", i64::from(version.get()));
        if let Some(id) = id {
            span.record("request.id", id.as_str());
        }
    }
}

impl Work {
    /// A message that came in; none when nobody waits for an answer to it.
    pub(crate) fn new(
        message: Message,
        received: Instant,
        (target, limits): (&Target, &QueueLimits),
        inflight: &Inflight,
    ) -> Option<Self> {
        message.reply()?;
        let span = message.has_headers().then(|| {
            let span = tracing::info_span!(
                "infer",
                otel.kind = "server",
                model = %target.served.name,
                version = field::Empty,
                request.id = field::Empty,
            );
            leat_messaging::trace::extract(&message, &span);
            span
        });
        let by_object = if message.has_headers() { ByObject::of(&message) } else { None };
        let escort = Escort::new(span, inflight.enter());
        let (reply, payload) = message.into_parts();
        let reply = reply?;
        let envelope = Envelope::peek(&payload);
        let sticky = envelope.sticky_key.as_deref().map(sticky::hash);
        let answer_to = (&reply, encoding_of(&payload));
        let mut waiting = Waiting::new(&envelope, received, limits.wait_max, answer_to);
        waiting.cost_ns = target.served.pace.cost_ns(payload.len());
        Some(Self {
            payload,
            reply,
            received,
            target: target.clone(),
            sticky,
            waiting,
            by_object,
            wanted: None,
            escort,
        })
    }

    /// The object to be fetched before the request can be read.
    pub(crate) fn body_object(&self) -> Option<&str> {
        self.by_object.as_ref()?.body.as_deref()
    }

    /// How large an object its caller takes as the reply; 0 for none.
    pub(crate) fn reply_object_bytes_max(&self) -> usize {
        self.by_object.as_ref().map_or(0, |by_object| by_object.reply_bytes_max)
    }

    /// Puts the body that was fetched in the place of the message that named it.
    pub(crate) fn set_body(&mut self, body: Bytes) {
        if let Some(by_object) = &mut self.by_object {
            by_object.body = None;
        }
        self.waiting.cost_ns = self.target.served.pace.cost_ns(body.len());
        self.waiting.body_took(self.received.elapsed());
        self.payload = body;
    }

    /// The encoding of an answer to a request that was not read.
    pub(crate) fn encoding(&self) -> Encoding {
        encoding_of(&self.payload)
    }

    /// Gives its place in the queue of its model back.
    pub(crate) fn leave_queue(&self) {
        self.target.served.dequeued(self.payload.len());
    }

    /// Whether it was parked for this version.
    pub(crate) fn wants(&self, version: &Arc<LoadedVersion>) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| Arc::ptr_eq(wanted, version))
    }

    /// The answer that refuses this request; none when its caller has been told that its time is over.
    pub(crate) fn refuse(self, error: &Error) -> Option<Answer> {
        let content = Content::Refusal(error.detail(), self.encoding());
        self.waiting.take_claim().then_some(Answer { reply: self.reply, content, _escort: self.escort })
    }
}

impl Queued for Work {
    fn priority(&self) -> Priority {
        self.waiting.priority
    }

    fn bytes(&self) -> usize {
        self.payload.len()
    }

    fn cost_ns(&self) -> u64 {
        self.waiting.cost_ns
    }

    fn until(&self) -> Instant {
        self.waiting.until(self.received)
    }

    fn claim(&self) -> Option<&Arc<Claim>> {
        self.waiting.claim.as_ref()
    }
}

fn encoding_of(payload: &[u8]) -> Encoding {
    Encoding::detect(payload).unwrap_or(Encoding::Json)
}

/// What a caller gets. There is one for each request that is answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Subject,
    pub(crate) content: Content,
    pub(crate) _escort: Escort,
}

/// The two kinds of answers.
#[derive(Debug)]
pub(crate) enum Content {
    /// A written reply.
    Result(Bytes),
    /// A written reply that no message can hold, for a caller who takes it as an object.
    Object(LargeReply),
    /// An error, and the encoding of its body.
    Refusal(ErrorDetail, Encoding),
}

/// A reply that is to become an object.
#[derive(Debug)]
pub(crate) struct LargeReply {
    pub(crate) bytes: Bytes,
    /// How to write an error instead.
    pub(crate) encoding: Encoding,
    /// Until when its caller waits, when that was said.
    pub(crate) claim: Option<Arc<Claim>>,
}

#[cfg(test)]
mod tests {
    use leat_statistics::LatencyEncoder;

    use super::*;
    use crate::loaded::tests::{tiny_deployment, tiny_version};

    #[test]
    fn refusals_are_counted_with_the_version_that_would_have_answered() {
        let versions = vec![Arc::new(tiny_version(1)), Arc::new(tiny_version(2))];
        let table = RouteTable::new(&tiny_deployment(&versions, &[10, 90]), versions.clone());
        let served = Arc::new(ServedModel::new("tiny".parse().unwrap(), table));
        Target { served: served.clone(), pinned: None }.count_refused(ErrorCode::Overloaded, 3);
        Target { served, pinned: Some(versions[0].clone()) }.count_refused(ErrorCode::Unavailable, 1);
        let told = |version: &LoadedVersion| {
            version.meter.take(&version.model, version.version, 0, &mut LatencyEncoder::default())
        };
        let (first, second) = (told(&versions[0]), told(&versions[1]));
        assert_eq!((first.requests, first.errors), (1, [(ErrorCode::Unavailable, 1)].into()));
        assert_eq!((second.requests, second.errors), (3, [(ErrorCode::Overloaded, 3)].into()));
    }
}
