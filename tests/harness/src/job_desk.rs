use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use leat_contract::micro::{MicroStats, MicroVerb};
use leat_contract::{
    AssetRole, DatasetRef, JobEvent, JobId, JobKind, JobMessage, JobSpec, JobStatus, Manifest, ModelName,
    Subjects,
};
use leat_messaging::{ConnectOptions, Connection, Error, KeyValue, Position, Storage, StoredMessage};

use crate::{eventually, fail};

/// Submits jobs and looks at what became of them, as a user would. Everything panics when the broker refuses.
#[derive(Debug)]
pub struct JobDesk {
    connection: Connection,
    storage: Storage,
    subjects: Subjects,
    /// Documents of jobs.
    pub statuses: KeyValue<JobStatus>,
    /// Versions of models.
    pub manifests: KeyValue<Manifest>,
}

impl JobDesk {
    /// Connects and makes all streams and buckets.
    pub async fn open(url: &str) -> Self {
        let subjects = Subjects::default();
        let connection = well(Connection::connect(&ConnectOptions::new(url, "job-desk")).await);
        let storage = well(Storage::provision(&connection, &subjects).await);
        let statuses = storage.key_value(AssetRole::Jobs);
        let manifests = storage.key_value(AssetRole::Registry);
        Self { connection, storage, subjects, statuses, manifests }
    }

    /// What a service says of its endpoints.
    pub async fn micro_stats(&self, name: &str) -> MicroStats {
        let [_, subject, _] = MicroVerb::Stats.subjects(name, "");
        let reply = well(self.connection.request(subject, "", Duration::from_secs(5)).await);
        well(serde_json::from_slice(reply.payload()))
    }

    /// What is stored.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Stores a data set.
    pub async fn upload(&self, name: &str, bytes: &[u8]) -> DatasetRef {
        let digest = well(self.storage.objects(AssetRole::Datasets).put(bytes).await);
        DatasetRef { digest, name: name.to_owned() }
    }

    /// Hands a job in without looking at it.
    pub async fn submit(&self, spec: JobSpec) -> JobId {
        let id: JobId = well(format!("job-{}", nuid::next()).parse());
        self.submit_as(&id, spec).await;
        id
    }

    /// Hands a job in under an id.
    pub async fn submit_as(&self, id: &JobId, spec: JobSpec) {
        let kind = spec.kind();
        let payload = well(serde_json::to_vec(&JobMessage { job: id.clone(), spec }));
        self.submit_bytes(kind, id.as_str(), payload).await;
    }

    /// Hands in any bytes where jobs of a kind belong.
    pub async fn submit_bytes(&self, kind: JobKind, message_id: &str, payload: Vec<u8>) {
        well(self.storage.job_queue(kind).submit(self.subjects.job(kind), message_id, payload).await);
    }

    /// The document of a job, once there is one that `wanted` accepts.
    pub async fn status_when(
        &self,
        id: &JobId,
        what: &str,
        wanted: impl Fn(&JobStatus) -> bool,
    ) -> JobStatus {
        let probe = async || {
            // A broker that is just being restarted is asked again.
            let entry = self.statuses.get(id.as_str()).await.ok().flatten();
            entry.map(|entry| entry.value).filter(|status| wanted(status))
        };
        eventually(what, probe).await
    }

    /// The document of a job once it has ended.
    pub async fn ended(&self, id: &JobId) -> JobStatus {
        self.status_when(id, "the job has ended", |status| status.state.is_final()).await
    }

    /// Changes the document of a job against whoever else does.
    pub async fn change(&self, id: &JobId, edit: impl Fn(&mut JobStatus)) {
        loop {
            let Some(entry) = well(self.statuses.get(id.as_str()).await) else {
                fail(&format!("no job {id}"))
            };
            let mut status = entry.value;
            edit(&mut status);
            match self.statuses.update(id.as_str(), &status, entry.revision).await {
                Err(Error::Conflict { .. }) => {}
                outcome => {
                    well(outcome);
                    return;
                }
            }
        }
    }

    /// Every version of a model, the oldest first.
    pub async fn versions(&self, model: &ModelName) -> Vec<Manifest> {
        let entries = well(self.manifests.entries_matching(&format!("{model}.version.*")).await);
        let mut versions: Vec<Manifest> = entries.into_iter().map(|entry| entry.value).collect();
        versions.sort_by_key(|manifest| manifest.version);
        versions
    }

    /// What has happened to a job so far.
    pub async fn events(&self, id: &JobId) -> Vec<JobEvent> {
        let log = self.storage.event_log(AssetRole::Events);
        let mut events = log.follow(&self.subjects.job_events(id), Position::Beginning);
        let stored = well(events.take_stored(10_000).await);
        stored.iter().map(|message| well(serde_json::from_slice(message.payload()))).collect()
    }

    /// What was given up.
    pub async fn dead_letters(&self) -> Vec<StoredMessage> {
        let log = self.storage.event_log(AssetRole::Dead);
        well(log.follow(&self.subjects.dead_letter_all(), Position::Beginning).take_stored(10_000).await)
    }

    /// Waits until no job of a kind waits or is worked on.
    pub async fn queue_is_empty(&self, kind: JobKind) {
        let probe = async || {
            let depth = well(self.storage.job_queue(kind).depth().await);
            (depth.waiting == 0 && depth.in_work == 0).then_some(())
        };
        eventually("the queue is empty", probe).await;
    }

    /// Unix milliseconds.
    pub fn now() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

fn well<T, E: Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| fail(&error.to_string()))
}
