//! The door to everything that is stored.

use std::time::Duration;

use leat_contract::assets::{Asset, AssetRole};
use leat_contract::{JobKind, ModelName, Subjects};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::jetstream::JetStream;
use crate::work_queue::QueueIdentity;
use crate::{Backlog, Connection, Error, EventLog, KeyValue, Objects, WorkQueue, provision};

/// Consumers of models that nobody serves any more would else pile up.
const ASYNC_CONSUMER_FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The streams, buckets and object stores under one prefix.
#[derive(Debug, Clone)]
pub struct Storage {
    jetstream: JetStream,
    subjects: Subjects,
}

impl Storage {
    /// Uses what is there, without looking.
    pub fn open(connection: &Connection, subjects: &Subjects) -> Self {
        Self { jetstream: JetStream::new(connection.clone()), subjects: subjects.clone() }
    }

    /// Makes what is missing, repairs what differs, and reads back what the broker made of it.
    ///
    /// Safe to call at any time and from several processes at once. Fails with [`Error::Drifted`] when something differs
    /// that cannot be changed in place, and names it.
    pub async fn provision(connection: &Connection, subjects: &Subjects) -> Result<Self, Error> {
        let storage = Self::open(connection, subjects);
        provision::provision(&storage.jetstream, subjects).await?;
        for kind in JobKind::ALL {
            storage.job_queue(kind).provision().await?;
        }
        Ok(storage)
    }

    /// Checks that everything is there and as required, and changes nothing.
    pub async fn verify(&self) -> Result<(), Error> {
        provision::verify(&self.jetstream, &self.subjects).await?;
        for kind in JobKind::ALL {
            self.job_queue(kind).verify().await?;
        }
        Ok(())
    }

    /// The subjects it works under.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// A bucket of values of one type.
    pub fn key_value<T: Serialize + DeserializeOwned>(&self, role: AssetRole) -> KeyValue<T> {
        KeyValue::new(self.jetstream.clone(), self.asset(role).name)
    }

    /// An object store.
    pub fn objects(&self, role: AssetRole) -> Objects {
        Objects::new(self.jetstream.clone(), self.asset(role).name)
    }

    /// A stream as a log.
    pub fn event_log(&self, role: AssetRole) -> EventLog {
        EventLog::new(self.jetstream.clone(), self.asset(role).name)
    }

    /// The jobs of one kind. Its consumer is named after the kind.
    pub fn job_queue(&self, kind: JobKind) -> WorkQueue {
        let stream = self.asset(AssetRole::JobQueue).name;
        let dead_letter_subject = self.subjects.dead_letter(&stream);
        let (consumer, filter) = (kind.to_string(), self.subjects.job(kind));
        WorkQueue::new(
            self.jetstream.clone(),
            QueueIdentity { stream, consumer, filter, dead_letter_subject, forgotten_after: None },
        )
    }

    /// Durable requests to a model. Its consumer is named after the model and made by [`WorkQueue::prepare`].
    pub fn async_queue(&self, model: &ModelName) -> WorkQueue {
        let stream = self.asset(AssetRole::AsyncQueue).name;
        let dead_letter_subject = self.subjects.dead_letter(&stream);
        let (consumer, filter) = (model.to_string(), self.subjects.async_infer(model));
        WorkQueue::new(
            self.jetstream.clone(),
            QueueIdentity {
                stream,
                consumer,
                filter,
                dead_letter_subject,
                forgotten_after: Some(ASYNC_CONSUMER_FORGOTTEN_AFTER),
            },
        )
    }

    /// Durable requests to all models, to be looked at.
    pub fn async_backlog(&self) -> Backlog {
        let stream = self.asset(AssetRole::AsyncQueue).name;
        let dead_letter_subject = self.subjects.dead_letter(&stream);
        Backlog::new(self.jetstream.clone(), stream, dead_letter_subject)
    }

    fn asset(&self, role: AssetRole) -> Asset {
        Asset::new(&self.subjects, role)
    }
}
