use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::open_loop::{Omissions, Pacer};
use crate::tally::{Tally, Window};
use crate::{Arrivals, Error, Schedule, StepReport, Target, closed_loop};

/// How hard a step asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "loop", rename_all = "snake_case")]
pub enum Pace {
    /// So many requesters that each wait for an answer before they ask again.
    Closed {
        /// Requests outstanding at any time.
        concurrency: usize,
    },
    /// Requests at their own times.
    Open {
        /// Requests a second on average.
        rate: f64,
        /// How they are spread.
        arrivals: Arrivals,
        /// Requests outstanding at most.
        max_outstanding: usize,
        /// Decides the moments of Poisson arrivals.
        seed: u64,
    },
}

/// What is asked, and for how long.
#[derive(Clone, Debug)]
pub struct Load {
    /// Where requests go.
    pub target: Target,
    /// Encoded requests, sent in turn.
    pub requests: Arc<[Bytes]>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long to ask before anything counts.
    pub warm_up: Duration,
    /// How long to ask while it counts.
    pub duration: Duration,
}

impl Load {
    /// Runs one step to its end, or until `stop`, and waits for what is outstanding then. Requests that should be sent after the
    /// warming up count, whenever their answers come.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is nothing to ask or nobody to ask it, [`Error::Connect`] when an HTTP server cannot be reached.
    pub async fn run(&self, pace: Pace, stop: &CancellationToken) -> Result<StepReport, Error> {
        if self.requests.is_empty() {
            return Err(Error::invalid("load", "there is no request to send"));
        }
        let callers = match pace {
            Pace::Closed { concurrency } => concurrency,
            Pace::Open { max_outstanding, .. } => max_outstanding,
        };
        if callers == 0 {
            return Err(Error::invalid("load", "at least one request must be outstanding"));
        }
        let callers = self.target.callers(callers, self.timeout).await?;
        let start = Instant::now();
        let window = Window { begin: start + self.warm_up, end: start + self.warm_up + self.duration };
        let tally = Arc::new(Tally::new(window));
        let omissions = match pace {
            Pace::Closed { .. } => {
                closed_loop::run(callers, &self.requests, &tally, stop).await;
                Omissions::default()
            }
            Pace::Open { rate, arrivals, seed, .. } => {
                let schedule = Schedule::new(rate, arrivals, seed)?;
                let (requests, tally, stop) = (self.requests.clone(), tally.clone(), stop.clone());
                Pacer { schedule, start, requests, tally, stop }.run(callers).await
            }
        };
        Ok(StepReport::new(pace, window, tally.take(), omissions))
    }
}
