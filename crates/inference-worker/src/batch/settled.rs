//! What became of the requests of a batch, and how long each part of that took.

use std::time::Instant;

use leat_contract::ErrorCode;

use super::Batch;
use crate::meter::{BatchTiming, Timing, nanoseconds};

/// What became of one request, for the counters.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) received: Instant,
    pub(super) rows: usize,
    /// Whether the answer was known from before, so that the model did not run for it.
    pub(super) is_known: bool,
    pub(super) code: Option<ErrorCode>,
}

impl Batch {
    /// Counts what became of its requests, with the version and for the micro protocol, and learns from how long it took. Whoever waits
    /// for an answer does not need this: it comes after the answers were handed over.
    pub(crate) fn settle(&self) {
        let (answered, settled) = (self.answered, &self.buffers.settled);
        let ran = BatchTiming {
            input_ns: nanoseconds(self.reading),
            compute_ns: nanoseconds(self.compute),
            output_ns: nanoseconds(self.writing),
        };
        let timing = |received: Instant, has_run: bool| Timing {
            total_ns: nanoseconds(answered.saturating_duration_since(received)),
            queue_ns: nanoseconds(self.begun.saturating_duration_since(received)),
            batch: has_run.then_some(ran),
        };
        if self.bytes > 0 {
            self.served.pace.took(self.reading + self.elapsed, self.bytes);
            self.served.pace.had(self.rows(), self.bytes);
        }
        let at = leat_service_runtime::unix_ms();
        let mut counts = self.version.meter.counts();
        counts.ran(&self.buffers.runs, ran, settled.iter().map(|settled| settled.rows).sum());
        counts.looked_up(self.cache);
        for &(code, received) in &self.buffers.refused {
            counts.failed(code, timing(received, false));
        }
        for &Settled { received, rows, is_known, code } in settled {
            let timing = timing(received, !is_known);
            match code {
                None => counts.answered(rows, timing, at),
                Some(code) => counts.failed(code, timing),
            }
        }
        drop(counts);
        self.version.meter.ended(settled.len());
        let results = settled.iter().filter(|settled| settled.code.is_none());
        let since = |settled: &Settled| answered.saturating_duration_since(settled.received);
        let total = results.clone().map(since).sum();
        let failures = settled.iter().filter_map(|settled| settled.code);
        let errors = failures.chain(self.buffers.refused.iter().map(|(code, _)| *code));
        self.served.answered(results.count(), total, errors.map(ErrorCode::name));
    }
}
