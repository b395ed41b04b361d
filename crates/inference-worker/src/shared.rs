//! What all parts of a running worker share.

use std::sync::{Arc, Mutex};

use leat_messaging::micro;
use leat_service_runtime::Context;
use tokio::sync::Notify;

use crate::blob_cache::BlobCache;
use crate::board::Board;
use crate::budget::Budget;
use crate::fetch_turns::FetchTurns;
use crate::ingest::Lane;
use crate::loading::Loading;
use crate::metrics::WorkerMetrics;
use crate::payloads::Payloads;
use crate::queue::{Capacity, Queue};
use crate::roster::Roster;
use crate::warm::WarmVersions;
use crate::work::Work;
use crate::yielding::Traffic;
use crate::{Error, Settings};

/// What all parts of a running worker share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) context: Context,
    pub(crate) queue: Queue<Work>,
    /// Rung when something in the queue is over sooner than was known.
    pub(crate) alarm: Notify,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) roster: Roster,
    pub(crate) board: Board,
    pub(crate) warm: Mutex<WarmVersions>,
    pub(crate) loading: Loading,
    pub(crate) fetch_turns: FetchTurns,
    /// None when no blobs are to be kept.
    pub(crate) blob_cache: Option<BlobCache>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) budget: Budget,
    pub(crate) payloads: Arc<Payloads>,
    /// What brings requests; at least one.
    pub(crate) lanes: Vec<Arc<Lane>>,
    pub(crate) micro: micro::Service,
}

impl Shared {
    /// # Errors
    /// When the operating system refuses the thread for loading, or the folder for blobs cannot be used.
    pub(crate) fn new(
        settings: Settings,
        context: Context,
        micro: micro::Service,
        (budget, lanes): (Budget, Vec<Arc<Lane>>),
    ) -> Result<Self, Error> {
        let metrics = WorkerMetrics::new(&context.metrics);
        let open = |folder| BlobCache::open(folder, settings.blob_cache_bytes_max, context.instance.as_str());
        let blob_cache = settings.blob_cache_folder.clone().map(open).transpose()?;
        Ok(Self {
            payloads: Payloads::new(&settings, &context, &metrics),
            queue: Queue::new(
                Capacity { count: settings.queue_max, bytes: settings.queue_bytes_max },
                settings.compute_threads,
            ),
            alarm: Notify::new(),
            metrics,
            roster: Roster::default(),
            board: Board::new(context.readiness.clone()),
            warm: Mutex::new(WarmVersions::new(settings.warm_versions_max)),
            loading: Loading::start()?,
            fetch_turns: FetchTurns::new(),
            blob_cache,
            traffic: Arc::new(Traffic::new()),
            budget,
            lanes,
            micro,
            settings,
            context,
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("settings", &self.settings).finish_non_exhaustive()
    }
}
