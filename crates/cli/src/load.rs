//! Continuous requests from many concurrent requesters, and what became of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::{InferResponse, ModelVersion};
use leat_messaging::{Answer, Connection, Error as MessagingError, Headers, Patience};
use leat_statistics::LatencyHistogram;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Error;

/// What is asked, and how hard.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Where requests go.
    pub subject: String,
    /// Encoded requests in tensor form; each requester walks through them from a place of its own.
    pub requests: Arc<Vec<Bytes>>,
    /// How many requesters wait for a reply at any time.
    pub concurrency: usize,
    /// How long a request is tried.
    pub patience: Patience,
}

/// Requesters at work. Dropping it ends them; [`Load::stop`] also says what became of the requests.
#[derive(Debug)]
pub struct Load {
    requesters: JoinSet<()>,
    stop: CancellationToken,
    tally: Arc<Mutex<Tally>>,
}

/// What became of the requests since the last report.
#[derive(Clone, Debug)]
#[must_use = "failures that nobody looks at are hidden"]
pub struct LoadReport {
    /// How long it took.
    pub elapsed: Duration,
    /// Requests with a prediction, by the version that gave it.
    pub answered: BTreeMap<ModelVersion, u64>,
    /// Requests without one, by reason.
    pub failed: BTreeMap<String, u64>,
    /// Requests that were sent more than once before they were answered.
    pub repeated: u64,
    /// From the first sending to the reply.
    pub latency: LatencyHistogram,
}

#[derive(Debug)]
struct Tally {
    since: Instant,
    answered: BTreeMap<ModelVersion, u64>,
    failed: BTreeMap<String, u64>,
    repeated: u64,
    latency: LatencyHistogram,
}

impl Load {
    /// Starts the requesters; they share the connection.
    ///
    /// # Errors
    /// When there is nothing to ask or nobody to ask it.
    pub fn start(connection: &Connection, options: &LoadOptions) -> Result<Self, Error> {
        if options.requests.is_empty() || options.concurrency == 0 {
            return Err(Error::Usage("load needs at least one request and one requester".to_owned()));
        }
        let stop = CancellationToken::new();
        let tally = Arc::new(Mutex::new(Tally::new()));
        let mut requesters = JoinSet::new();
        for place in 0..options.concurrency {
            let requester = Requester {
                connection: connection.clone(),
                options: options.clone(),
                stop: stop.clone(),
                tally: tally.clone(),
            };
            requesters.spawn(requester.run(place));
        }
        Ok(Self { requesters, stop, tally })
    }

    /// What happened since the start or the last time this was called.
    pub fn take_report(&self) -> LoadReport {
        std::mem::replace(&mut *lock(&self.tally), Tally::new()).into_report()
    }

    /// Lets requests in flight end, and says what happened since the last report.
    pub async fn stop(mut self) -> LoadReport {
        self.stop.cancel();
        while self.requesters.join_next().await.is_some() {}
        self.take_report()
    }
}

impl LoadReport {
    /// Requests that got a prediction.
    pub fn answered_total(&self) -> u64 {
        self.answered.values().sum()
    }

    /// Requests that got none.
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds the report on the time that followed.
    ///
    /// # Errors
    /// When the histograms cannot be merged.
    pub fn append(&mut self, next: &Self) -> Result<(), Error> {
        self.elapsed += next.elapsed;
        for (version, count) in &next.answered {
            *self.answered.entry(*version).or_default() += count;
        }
        for (reason, count) in &next.failed {
            *self.failed.entry(reason.clone()).or_default() += count;
        }
        self.repeated += next.repeated;
        Ok(self.latency.merge(&next.latency)?)
    }

    /// Predictions per second.
    pub fn requests_per_second(&self) -> f64 {
        self.answered_total() as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

struct Requester {
    connection: Connection,
    options: LoadOptions,
    stop: CancellationToken,
    tally: Arc<Mutex<Tally>>,
}

impl Requester {
    async fn run(self, place: usize) {
        let mut requests = self.options.requests.iter().cycle().skip(place % self.options.requests.len());
        let headers = Headers::new();
        while let Some(request) = requests.next()
            && !self.stop.is_cancelled()
        {
            let sent = Instant::now();
            let subject = self.options.subject.as_str();
            let answer = self
                .connection
                .request_idempotent(subject, &headers, request.clone(), &self.options.patience)
                .await;
            lock(&self.tally).count(answer, sent.elapsed());
        }
    }
}

impl Tally {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            answered: BTreeMap::new(),
            failed: BTreeMap::new(),
            repeated: 0,
            latency: LatencyHistogram::new(),
        }
    }

    fn count(&mut self, answer: Result<Answer, MessagingError>, elapsed: Duration) {
        let decoded = answer.map_err(|error| error.to_string()).and_then(|answer| {
            self.repeated += u64::from(answer.attempts > 1);
            InferResponse::decode(answer.reply.payload()).map_err(|error| error.to_string())
        });
        match decoded {
            Ok((response, _)) => {
                *self.answered.entry(response.model_version).or_default() += 1;
                self.latency.record_duration(elapsed);
            }
            Err(reason) => *self.failed.entry(reason).or_default() += 1,
        }
    }

    fn into_report(self) -> LoadReport {
        LoadReport {
            elapsed: self.since.elapsed(),
            answered: self.answered,
            failed: self.failed,
            repeated: self.repeated,
            latency: self.latency,
        }
    }
}

/// A requester that panicked leaves counts that are still true.
fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
