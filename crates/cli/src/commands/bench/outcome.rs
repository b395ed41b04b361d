//! What was measured, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use leat_contract::Encoding;
use leat_load::{Arrivals, Pace, Percentiles, ServerTimes, StepReport};
use serde::Serialize;

use super::options::{Bench, Via};
use crate::{Error, output};

/// All steps.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    model: String,
    via: Via,
    encoding: Encoding,
    rows_per_request: usize,
    /// The size of the first request.
    request_bytes: usize,
    pub(super) interrupted: bool,
    pub(super) steps: Vec<StepOutcome>,
}

/// One step. Times are in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct StepOutcome {
    #[serde(flatten)]
    pace: Pace,
    elapsed_s: f64,
    /// Requests a second that should have been sent; none in a closed loop, which has no such number.
    offered_per_second: Option<f64>,
    answered_per_second: f64,
    sent: u64,
    answered: u64,
    errors: BTreeMap<String, u64>,
    /// Should have been sent and never were.
    unsent: u64,
    /// Were sent later than they should have been, because too many were outstanding.
    delayed: u64,
    coordinated_omission: Correction,
    latency_us: Option<Percentiles>,
    /// From the sending, in an open loop.
    service_time_us: Option<Percentiles>,
    /// How much later than intended requests were sent, in an open loop.
    send_lag_us: Option<Percentiles>,
    /// How long requests waited in the worker, as it says itself of the whole seconds of the step, warming up included.
    queue_us: Option<Percentiles>,
    /// How long the model ran, as the worker says itself.
    compute_us: Option<Percentiles>,
}

/// What was done about coordinated omission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Correction {
    /// Latencies count from the intended moments.
    IntendedTime,
    /// What was not asked during long answers was added.
    ExpectedInterval,
    None,
}

impl Outcome {
    pub(super) fn new(bench: &Bench, encoding: Encoding, requests: &[Bytes]) -> Self {
        Self {
            model: bench.model.to_string(),
            via: bench.via,
            encoding,
            rows_per_request: bench.rows(),
            request_bytes: requests.first().map_or(0, Bytes::len),
            interrupted: false,
            steps: Vec::new(),
        }
    }

    pub(super) fn print(&self) {
        let via = match self.via {
            Via::Nats => "NATS",
            Via::Http => "HTTP",
        };
        let Self { model, encoding, request_bytes: bytes, .. } = self;
        let rows = match self.rows_per_request {
            1 => "1 row".to_owned(),
            several => format!("{several} rows"),
        };
        output::line(&format!("{model} over {via}: {encoding}, {rows} and {bytes} bytes in a request"));
        let header = [
            "step",
            "offered/s",
            "answered/s",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "errors",
            "delayed",
            "not sent",
            "queue",
            "compute",
        ];
        let has_server_times = self.steps.iter().any(|step| step.queue_us.is_some());
        let columns = if has_server_times { header.len() } else { header.len() - 2 };
        let rows = self.steps.iter().map(|step| step.row().into_iter().take(columns).collect());
        output::line(&output::table(&header[..columns], rows.collect()));
        let mut corrections: Vec<Correction> =
            self.steps.iter().map(|step| step.coordinated_omission).collect();
        corrections.dedup();
        corrections.into_iter().for_each(|correction| output::line(correction.explanation()));
    }

    /// # Errors
    /// When the measurement was ended early, or nobody answered in a step.
    pub(super) fn verdict(&self) -> Result<(), Error> {
        if self.interrupted {
            return Err(Error::Interrupted);
        }
        match self.steps.iter().find(|step| step.answered == 0) {
            Some(step) => {
                let (errors, unsent) = (counts(&step.errors), step.unsent);
                Err(Error::Usage(format!("no request was answered: {errors} failed, {unsent} not sent")))
            }
            None => Ok(()),
        }
    }
}

impl StepOutcome {
    pub(super) fn of(
        report: &StepReport,
        expected_interval: Option<Duration>,
        times: Option<&ServerTimes>,
    ) -> Self {
        let is_open = matches!(report.pace, Pace::Open { .. });
        let (coordinated_omission, latency) = match expected_interval {
            _ if is_open => (Correction::IntendedTime, report.latency.clone()),
            Some(interval) => (Correction::ExpectedInterval, report.latency.corrected(interval)),
            None => (Correction::None, report.latency.clone()),
        };
        let open = |histogram| if is_open { Percentiles::of(histogram) } else { None };
        let (queue, compute) = times.map(ServerTimes::take).unwrap_or_default();
        let errors = report.failed.iter().map(|(reason, count)| (reason.to_string(), *count));
        Self {
            pace: report.pace,
            elapsed_s: report.elapsed.as_secs_f64(),
            offered_per_second: match report.pace {
                Pace::Open { rate, .. } => Some(rate),
                Pace::Closed { .. } => None,
            },
            answered_per_second: report.answered_per_second(),
            sent: report.sent(),
            answered: report.answered,
            errors: errors.collect(),
            unsent: report.unsent,
            delayed: report.delayed,
            coordinated_omission,
            latency_us: Percentiles::of(&latency),
            service_time_us: open(&report.service_time),
            send_lag_us: open(&report.send_lag),
            queue_us: Percentiles::of(&queue),
            compute_us: Percentiles::of(&compute),
        }
    }

    fn row(&self) -> Vec<String> {
        let at = |figure: fn(&Percentiles) -> f64| {
            self.latency_us.as_ref().map(figure).map(time).unwrap_or_default()
        };
        let median = |times: &Option<Percentiles>| times.map(|times| time(times.p50)).unwrap_or_default();
        vec![
            describe(&self.pace),
            self.offered_per_second.map(|rate| format!("{rate:.0}")).unwrap_or_default(),
            format!("{:.0}", self.answered_per_second),
            at(|figures| figures.p50),
            at(|figures| figures.p90),
            at(|figures| figures.p99),
            at(|figures| figures.p99_9),
            at(|figures| figures.max),
            counts(&self.errors),
            self.delayed.to_string(),
            self.unsent.to_string(),
            median(&self.queue_us),
            median(&self.compute_us),
        ]
    }
}

impl Correction {
    const fn explanation(self) -> &'static str {
        match self {
            Self::IntendedTime => {
                "open loop: latencies count from the moment at which a request should have been sent (corrected for coordinated omission)"
            }
            Self::ExpectedInterval => {
                "closed loop: latencies are corrected for coordinated omission by the expected interval"
            }
            Self::None => {
                "closed loop: latencies count from the sending and are not corrected for coordinated omission; --rate or \
                 --expected-interval does that"
            }
        }
    }
}

/// A step in words.
pub(super) fn describe(pace: &Pace) -> String {
    match pace {
        Pace::Closed { concurrency: 1 } => "1 requester".to_owned(),
        Pace::Closed { concurrency } => format!("{concurrency} requesters"),
        Pace::Open { rate, arrivals: Arrivals::Constant, .. } => format!("{rate}/s constant"),
        Pace::Open { rate, arrivals: Arrivals::Poisson, .. } => format!("{rate}/s poisson"),
    }
}

/// `12 timeout, 3 overloaded`, or `0`.
fn counts(errors: &BTreeMap<String, u64>) -> String {
    if errors.is_empty() {
        return "0".to_owned();
    }
    let each: Vec<String> = errors.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    each.join(", ")
}

fn time(microseconds: f64) -> String {
    match microseconds {
        ..1_000.0 => format!("{microseconds:.0} µs"),
        ..1_000_000.0 => format!("{:.2} ms", microseconds / 1e3),
        _ => format!("{:.2} s", microseconds / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!([812.4, 1_234.0, 2_500_000.0].map(time), ["812 µs", "1.23 ms", "2.50 s"]);
    }

    #[test]
    fn errors_are_counted_by_reason() {
        let errors = [("timeout".to_owned(), 3), ("overloaded".to_owned(), 12)].into();
        assert_eq!(
            (counts(&errors), counts(&BTreeMap::new())),
            ("12 overloaded, 3 timeout".to_owned(), "0".to_owned())
        );
    }
}
