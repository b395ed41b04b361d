//! One endpoint of a service and what happened on it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use leat_contract::micro::{MicroEndpoint, MicroEndpointStats};
use serde_json::Value;

/// Figures of the service's own, made when someone asks for them.
type OwnFigures = Box<dyn Fn(Detail) -> Value + Send + Sync>;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// What matters most, because no message holds everything.
    Brief,
}

/// What an endpoint is.
#[derive(Debug, Clone, Default)]
pub struct EndpointInfo {
    /// Its name, `[A-Za-z0-9_-]+`.
    pub name: String,
    /// Where it listens.
    pub subject: String,
    /// The group that shares the requests; empty for none.
    pub queue_group: String,
    /// Facts about it; for inference: model, version, digest.
    pub metadata: BTreeMap<String, String>,
}

/// The counters of an endpoint; counting is a few atomic additions.
pub struct EndpointStats {
    info: EndpointInfo,
    requests: AtomicU64,
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    last_error: Mutex<String>,
    own: Mutex<Option<OwnFigures>>,
}

impl EndpointStats {
    pub(super) fn new(info: EndpointInfo) -> Self {
        Self {
            info,
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            nanoseconds: AtomicU64::new(0),
            last_error: Mutex::default(),
            own: Mutex::default(),
        }
    }

    /// Counts one request, how long it took, and the error that answered it if any.
    pub fn record(&self, duration: Duration, outcome: Result<(), &str>) {
        self.record_many(1, duration);
        if let Err(error) = outcome {
            self.errors.fetch_add(1, Ordering::Relaxed);
            error.clone_into(&mut self.last_error.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Counts requests that were answered together, with the sum of their durations.
    pub fn record_many(&self, requests: u64, total: Duration) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
        let nanoseconds = u64::try_from(total.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Sets where the figures of the service's own come from. It runs on the answering task: it must be quick. They are
    /// asked for less detail, and then left out, when the figures of all endpoints are more than the broker takes in a message.
    pub fn set_data(&self, figures: impl Fn(Detail) -> Value + Send + Sync + 'static) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(figures));
    }

    pub(super) fn describe(&self) -> MicroEndpoint {
        let EndpointInfo { name, subject, queue_group, metadata } = self.info.clone();
        MicroEndpoint { name, subject, queue_group, metadata }
    }

    pub(super) fn figures(&self, detail: Detail) -> MicroEndpointStats {
        let EndpointInfo { name, subject, queue_group, .. } = self.info.clone();
        let num_requests = self.requests.load(Ordering::Relaxed);
        let processing_time = self.nanoseconds.load(Ordering::Relaxed);
        MicroEndpointStats {
            name,
            subject,
            queue_group,
            num_requests,
            num_errors: self.errors.load(Ordering::Relaxed),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            processing_time,
            average_processing_time: processing_time.checked_div(num_requests).unwrap_or(0),
            data: self
                .own
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .as_ref()
                .map(|figures| figures(detail)),
        }
    }
}

impl fmt::Debug for EndpointStats {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EndpointStats").field("info", &self.info).finish_non_exhaustive()
    }
}
