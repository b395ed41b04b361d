//! The model as the worker gets it.

use leat_contract::{AssetRole, Deployment, ModelVersion, Route, Subjects, WorkerLease};
use leat_messaging::{Connection, Storage, Watched};
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

/// Stores the model, deploys it and waits until a worker serves it.
///
/// # Errors
/// When the broker or the model refuses.
pub(super) async fn deploy(connection: &Connection, model: &Model) -> Result<(), Error> {
    let storage = Storage::provision(connection, &Subjects::default()).await?;
    let digest = storage.objects(AssetRole::Models).put(&blob::write(model)?).await?;
    let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
    let deployment = Deployment::new(model.name.parse()?, vec![route]);
    let revision = storage.key_value(AssetRole::Desired).put(&model.name, &deployment).await?;
    let mut leases = storage.key_value::<WorkerLease>(AssetRole::Actual).watch()?;
    loop {
        if let Watched::Change(change) = leases.next().await?
            && let Some(lease) = change.value
            && lease.deployment_revisions.values().any(|applied| *applied == revision)
        {
            return Ok(());
        }
    }
}
