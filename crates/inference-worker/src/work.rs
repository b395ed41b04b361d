//! One request on its way through the worker, and the answer to it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::{Encoding, ErrorCode, ErrorDetail};
use leat_messaging::{Message, Subject};
use leat_service_runtime::{Inflight, InflightGuard};
use tracing::Span;

use crate::Error;
use crate::loaded::LoadedVersion;
use crate::served::{RouteTable, ServedModel};

/// Where requests of one subscription go.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) served: Arc<ServedModel>,
    /// The version of a pinned subscription; none on the live route.
    pub(crate) pinned: Option<Arc<LoadedVersion>>,
}

impl Target {
    /// The version that answers the next request, with the routes it was chosen by.
    pub(crate) fn choose(&self) -> Option<(Arc<LoadedVersion>, Arc<RouteTable>)> {
        let routes = self.served.routes();
        let version = match &self.pinned {
            Some(version) => version.clone(),
            None => routes.next()?.clone(),
        };
        Some((version, routes))
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
    /// Goes with the request until it is answered.
    pub(crate) escort: Escort,
}

/// What must live exactly as long as a request is not answered.
#[derive(Debug)]
pub(crate) struct Escort {
    /// The span of a request that came with a trace.
    _span: Option<Span>,
    _inflight: InflightGuard,
}

impl Escort {
    pub(crate) fn new(span: Option<Span>, inflight: InflightGuard) -> Self {
        Self { _span: span, _inflight: inflight }
    }
}

impl Work {
    /// A message that came in; none when nobody waits for an answer to it.
    pub(crate) fn new(
        message: Message,
        received: Instant,
        target: &Target,
        inflight: &Inflight,
    ) -> Option<Self> {
        let reply = message.reply()?.clone();
        let span = message.has_headers().then(|| {
            let span = tracing::info_span!("infer", model = %target.served.name);
            leat_messaging::trace::extract(&message, &span);
            span
        });
        let escort = Escort::new(span, inflight.enter());
        Some(Self { payload: message.into_payload(), reply, received, target: target.clone(), escort })
    }

    /// The encoding of an answer to a request that was not read.
    pub(crate) fn encoding(&self) -> Encoding {
        Encoding::detect(&self.payload).unwrap_or(Encoding::Json)
    }

    /// The answer that refuses this request.
    pub(crate) fn refuse(self, error: &Error) -> Answer {
        let encoding = self.encoding();
        Answer {
            reply: self.reply,
            content: Content::Refusal(error.detail(), encoding),
            _escort: self.escort,
        }
    }
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
    Result(Vec<u8>),
    /// An error, and the encoding of its body.
    Refusal(ErrorDetail, Encoding),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{tiny_deployment, tiny_version};

    #[test]
    fn refusals_are_counted_with_the_version_that_would_have_answered() {
        let versions = vec![Arc::new(tiny_version(1)), Arc::new(tiny_version(2))];
        let table = RouteTable::new(&tiny_deployment(&versions, &[10, 90]), versions.clone());
        let served = Arc::new(ServedModel::new("tiny".parse().unwrap(), table));
        Target { served: served.clone(), pinned: None }.count_refused(ErrorCode::Overloaded, 3);
        Target { served, pinned: Some(versions[0].clone()) }.count_refused(ErrorCode::Unavailable, 1);
        let told = |version: &LoadedVersion| version.meter.take(&version.model, version.version, 0);
        let (first, second) = (told(&versions[0]), told(&versions[1]));
        assert_eq!((first.requests, first.errors), (1, [(ErrorCode::Unavailable, 1)].into()));
        assert_eq!((second.requests, second.errors), (3, [(ErrorCode::Overloaded, 3)].into()));
    }
}
