//! What every request needs, and the way of one: let in, read, answered, finished.

mod dispatch;
mod finish;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use leat_catalogue::Catalogue;
use leat_contract::InferRequest;
use leat_service_runtime::{Inflight, Metrics, Readiness};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Settings;
use crate::body::BodyLimits;
use crate::cors::Cors;
use crate::keys::Keys;
use crate::metrics::EdgeMetrics;
use crate::workers::{Call, Workers};

pub(crate) use dispatch::{Body, Connected};

/// The header that names a request.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// What every request needs. There is one for each thread, which differ in how they reach the workers and share all else.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) settings: Arc<Settings>,
    /// Those of now; the file of them may be replaced.
    pub(crate) keys: watch::Receiver<Keys>,
    pub(crate) cors: Arc<Cors>,
    pub(crate) bodies: Arc<BodyLimits>,
    pub(crate) workers: Workers,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) readiness: Readiness,
    /// Cancelled once the gateway is told to stop.
    pub(crate) leaving: CancellationToken,
    pub(crate) inflight: Inflight,
    pub(crate) metrics: EdgeMetrics,
    pub(crate) all_metrics: Metrics,
    /// Whether a request that belongs to no trace begins one.
    pub(crate) begins_traces: bool,
}

impl Edge {
    /// What goes with a request for inference whose headers are these.
    pub(crate) fn call(&self, headers: &HeaderMap) -> Call {
        Call::new(self.settings.request_timeout(), traced::carried(headers))
    }

    /// Gives a request a deadline when it has none, and the call the time that it allows.
    pub(crate) fn bound(&self, request: &mut InferRequest, call: &mut Call) {
        let wanted = request.deadline_ms.map_or(call.timeout, Duration::from_millis);
        call.timeout = self.settings.at_most(wanted);
        let milliseconds = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
        request.deadline_ms = Some(milliseconds.clamp(1, leat_contract::limits::DEADLINE_MS_MAX));
    }
}
