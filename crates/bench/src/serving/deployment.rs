//! The model as the worker gets it.

use leat_contract::{AssetRole, Deployment, Digest, ModelName, ModelVersion, Route, Subjects, WorkerLease};
use leat_messaging::{Connection, Storage, Watch, Watched};
use leat_model::{Model, Signature, Task, blob};

use crate::Error;

/// The same network with probabilities and a label as its outputs.
pub(super) fn classifier(mut model: Model) -> Model {
    let features = model.signature.features.clone();
    let labels = (0..model.signature.labels.len()).map(|class| class.to_string()).collect();
    model.task = Task::Classification;
    model.signature = Signature::of_network(Task::Classification, features, labels);
    model
}

/// Puts models into the store and into force.
pub(super) struct Deployer {
    storage: Storage,
    /// What workers say they have. One watch for all deployments: a new one for each would be work for the broker.
    leases: Watch<WorkerLease>,
}

impl Deployer {
    /// # Errors
    /// When the broker refuses.
    pub(super) async fn new(connection: &Connection) -> Result<Self, Error> {
        let storage = Storage::provision(connection, &Subjects::default()).await?;
        let leases = storage.key_value(AssetRole::Actual).watch()?;
        Ok(Self { storage, leases })
    }

    /// # Errors
    /// When the broker or the model refuses.
    pub(super) async fn store(&self, model: &Model) -> Result<Digest, Error> {
        Ok(self.storage.objects(AssetRole::Models).put(&blob::write(model)?).await?)
    }

    /// Waits until a worker serves a model, whatever revision of it.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(super) async fn wait_for(&mut self, worker: &str, model: &ModelName) -> Result<(), Error> {
        loop {
            if let Watched::Change(change) = self.leases.next().await?
                && let Some(lease) = change.value
                && lease.worker.as_str() == worker
                && lease.deployment_revisions.contains_key(model)
            {
                return Ok(());
            }
        }
    }

    /// Deploys what was stored under that name, alone, and waits until a worker serves it.
    ///
    /// # Errors
    /// When the broker refuses.
    pub(super) async fn deploy(&mut self, name: &str, digest: Digest) -> Result<(), Error> {
        let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
        let deployment = Deployment::new(name.parse()?, vec![route]);
        let revision = self.storage.key_value(AssetRole::Desired).put(name, &deployment).await?;
        loop {
            if let Watched::Change(change) = self.leases.next().await?
                && let Some(lease) = change.value
                && lease.deployment_revisions.values().any(|applied| *applied == revision)
            {
                return Ok(());
            }
        }
    }
}
