//! What an operator can set of a worker.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use leat_service_runtime::{Invalid, Validate, within};
use serde::{Deserialize, Serialize};

/// Settings of an inference worker. What concerns one model (its own queue limit, batching, recording) stands in its
/// deployment instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What the operator calls this worker, name by name, so that a deployment with a selector finds it.
    pub labels: BTreeMap<String, String>,
    /// Requests that may wait on this worker, all models together; the next is refused as overloaded. 1024 requests of a
    /// small model are about 20 ms of work: more would only become older.
    pub queue_max: usize,
    /// Bytes of the requests that may wait, all models together. What is refused at a large model's door is memory that all others
    /// need.
    pub queue_bytes_max: usize,
    /// Requests that a thread takes from the queue at once. Larger batches hardly run faster per row and make the first
    /// request wait for the last.
    pub batch_requests_max: usize,
    /// Rows of one request; one with more is refused as too large, so that no caller can hold a thread for long. A batch
    /// that holds as many is run before further requests are read, which bounds the memory of a thread.
    pub batch_rows_max: usize,
    /// Connections that bring requests, each with a thread of its own. More help where one thread is busy with receiving and answering
    /// light requests alone; to the broker the worker is then as many members of its queue groups.
    pub ingest_connections: usize,
    /// Threads that run what waits in the queue. One keeps a small model's weights in one processor's cache; more help larger models.
    /// Requests that are light and few do not wait: the thread that receives them answers them.
    pub compute_threads: usize,
    /// Threads that share one batch when it is large: its rows, from some 100 µs of work for each thread, or, while there are few rows, the outputs of
    /// large layers, save in pipelines. Small batches run on the thread that took them, and answers do not depend on this number.
    pub threads_per_batch: NonZeroUsize,
    /// Bytes that the plans of all models take in memory: their weights as they are packed. Beyond it those that were used least recently give way, and come back when
    /// somebody asks for them. None keeps everything.
    pub memory_budget_bytes: Option<usize>,
    /// A folder on a disk of this machine in which blobs that were fetched are kept, so that what is loaded again costs the broker nothing.
    /// Workers may share it. None keeps none.
    pub blob_cache_folder: Option<PathBuf>,
    /// Bytes that the kept blobs may take together; those that were loaded least recently go.
    pub blob_cache_bytes_max: u64,
    /// Versions that left every route and are kept compiled, so that a rollback does not load again.
    pub warm_versions_max: usize,
    /// Durable requests to one model that this worker has in hand at once; 0 leaves them to others. They take their turn like any
    /// others; each of them looks into the stream every two seconds while there is nothing to do.
    pub durable_requests_max: usize,
    /// How long a durable request without a deadline may wait for its answer before it becomes a dead letter.
    pub durable_wait_max_ms: u64,
    /// How long one attempt at a durable request may take. After ten in a row that nobody answered at all it becomes a dead letter: it may be what ends
    /// the workers.
    pub durable_attempt_ms: u64,
    /// Bodies of requests that are fetched from the object store at once; a few keep the connection busy. Further ones wait.
    pub objects_at_once: usize,
    /// Bytes of all bodies, of requests and replies, that are on their way from or to the object store. It bounds a single one too.
    pub objects_bytes_max: usize,
    /// How long fetching or storing one body may take, waiting for others included.
    pub object_timeout_ms: u64,
    /// How often the lease is renewed. It holds for 30 s.
    pub lease_interval_ms: u64,
    /// How often counters are sent to the monitor.
    pub telemetry_interval_ms: u64,
    /// How long a prediction waits at most to be published together with others.
    pub record_interval_ms: u64,
    /// Predictions that are published together at most.
    pub record_batch_max: usize,
    /// Predictions that may wait to be published while the broker is away; further ones are dropped and counted.
    pub record_buffer_max: usize,
    /// How long fetching one model blob may take, once it begins. Waiting for that and fetching give way to requests that come meanwhile for
    /// an eighth of it, and making the model ready for a quarter, all since loading began.
    pub load_timeout_ms: u64,
    /// How long to wait before a version that could not be loaded is tried again; doubled each time.
    pub load_retry_min_ms: u64,
    /// The longest such wait.
    pub load_retry_max_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            queue_max: 1024,
            queue_bytes_max: 256 << 20,
            batch_requests_max: 64,
            batch_rows_max: 4096,
            ingest_connections: 1,
            compute_threads: 1,
            threads_per_batch: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            memory_budget_bytes: None,
            blob_cache_folder: None,
            blob_cache_bytes_max: 4 << 30,
            warm_versions_max: 4,
            durable_requests_max: 2,
            durable_wait_max_ms: 86_400_000,
            durable_attempt_ms: 30_000,
            objects_at_once: 8,
            objects_bytes_max: 256 << 20,
            object_timeout_ms: 10_000,
            lease_interval_ms: 10_000,
            telemetry_interval_ms: 1000,
            record_interval_ms: 100,
            record_batch_max: 256,
            record_buffer_max: 8192,
            load_timeout_ms: 60_000,
            load_retry_min_ms: 500,
            load_retry_max_ms: 30_000,
        }
    }
}

impl Settings {
    /// How often the lease is renewed.
    pub(crate) fn lease_interval(&self) -> Duration {
        Duration::from_millis(self.lease_interval_ms)
    }

    /// How often counters are sent.
    pub(crate) fn telemetry_interval(&self) -> Duration {
        Duration::from_millis(self.telemetry_interval_ms)
    }

    /// How long a prediction waits for others.
    pub(crate) fn record_interval(&self) -> Duration {
        Duration::from_millis(self.record_interval_ms)
    }

    /// How long fetching a blob may take.
    pub(crate) fn load_timeout(&self) -> Duration {
        Duration::from_millis(self.load_timeout_ms)
    }

    /// How long fetching or storing a body may take.
    pub(crate) fn object_timeout(&self) -> Duration {
        Duration::from_millis(self.object_timeout_ms)
    }

    /// How long to wait before a failed load is tried again, after so many failures.
    pub(crate) fn load_retry(&self, failures: u32) -> Duration {
        let factor = 1_u64 << failures.saturating_sub(1).min(20);
        Duration::from_millis(self.load_retry_min_ms.saturating_mul(factor).min(self.load_retry_max_ms))
    }
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        within("labels", self.labels.len(), 0..=leat_contract::limits::LABELS_MAX)?;
        within("queue_max", self.queue_max, 1..=1_048_576)?;
        within("queue_bytes_max", self.queue_bytes_max, 1 << 20..=1 << 40)?;
        within("batch_requests_max", self.batch_requests_max, 1..=4096)?;
        within("batch_rows_max", self.batch_rows_max, 1..=leat_contract::limits::ROWS_MAX)?;
        within("ingest_connections", self.ingest_connections, 1..=64)?;
        within("compute_threads", self.compute_threads, 1..=256)?;
        within("threads_per_batch", self.threads_per_batch.get(), 1..=256)?;
        let budget = self.memory_budget_bytes.unwrap_or(usize::MAX);
        within("memory_budget_bytes", budget, 1..=usize::MAX)?;
        within("blob_cache_bytes_max", self.blob_cache_bytes_max, 1 << 20..=1 << 50)?;
        within("warm_versions_max", self.warm_versions_max, 0..=64)?;
        within("durable_requests_max", self.durable_requests_max, 0..=256)?;
        within("durable_wait_max_ms", self.durable_wait_max_ms, 1000..=30 * 86_400_000)?;
        within("durable_attempt_ms", self.durable_attempt_ms, 100..=3_600_000)?;
        within("objects_at_once", self.objects_at_once, 1..=1024)?;
        within("objects_bytes_max", self.objects_bytes_max, 1 << 20..=1 << 40)?;
        within("object_timeout_ms", self.object_timeout_ms, 10..=600_000)?;
        within("lease_interval_ms", self.lease_interval_ms, 100..=15_000)?;
        within("telemetry_interval_ms", self.telemetry_interval_ms, 50..=60_000)?;
        within("record_interval_ms", self.record_interval_ms, 1..=10_000)?;
        within("record_batch_max", self.record_batch_max, 1..=4096)?;
        within("record_buffer_max", self.record_buffer_max, self.record_batch_max..=1_048_576)?;
        within("load_timeout_ms", self.load_timeout_ms, 100..=3_600_000)?;
        within("load_retry_min_ms", self.load_retry_min_ms, 10..=self.load_retry_max_ms)?;
        within("load_retry_max_ms", self.load_retry_max_ms, 10..=600_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Settings::default().validate(), Ok(()));
    }

    #[test]
    fn a_limit_that_contradicts_another_is_refused() {
        let settings = Settings { record_buffer_max: 1, ..Settings::default() };
        assert!(settings.validate().unwrap_err().to_string().starts_with("record_buffer_max: 1"));
    }

    #[test]
    fn retries_come_later_each_time_up_to_the_longest_wait() {
        let settings = Settings { load_retry_min_ms: 100, load_retry_max_ms: 1000, ..Settings::default() };
        let waits: Vec<u128> =
            [1, 2, 3, 5, 400].map(|failures| settings.load_retry(failures).as_millis()).to_vec();
        assert_eq!(waits, [100, 200, 400, 1000, 1000]);
    }
}
