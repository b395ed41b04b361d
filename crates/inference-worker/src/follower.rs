//! Follows the desired state: one task per model, each told only what is wanted of its model now.

use std::collections::BTreeMap;
use std::sync::Arc;

use leat_contract::{Deployment, ModelName, assets::AssetRole};
use leat_messaging::{Change, Watched};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::Error;
use crate::deployed::{Wanted, follow};
use crate::shared::Shared;

/// The models that are or were deployed, with the senders that tell their tasks what is wanted.
struct Follower {
    shared: Arc<Shared>,
    models: BTreeMap<ModelName, watch::Sender<Wanted>>,
    following: TaskTracker,
}

/// Follows the bucket of deployments until shutdown; then every subscription is ended and everything received is queued.
///
/// # Errors
/// When the bucket cannot be followed at all.
pub(crate) async fn follow_desired_state(shared: Arc<Shared>) -> Result<(), Error> {
    let mut watch = shared.context.storage.key_value::<Deployment>(AssetRole::Desired).watch()?;
    let shutdown = shared.context.shutdown.clone();
    let mut follower = Follower { shared, models: BTreeMap::new(), following: TaskTracker::new() };
    while let Some(watched) = shutdown.run_until_cancelled(watch.next()).await {
        match watched {
            Ok(Watched::Change(change)) => follower.change(change),
            Ok(Watched::Current) => follower.shared.board.complete(),
            // The last readable deployment stays in force: a slip of the pen must not stop a model.
            Err(error) => warn!(%error, "a deployment cannot be read"),
        }
    }
    follower.models.clear();
    follower.following.close();
    follower.following.wait().await;
    Ok(())
}

impl Follower {
    fn change(&mut self, change: Change<Deployment>) {
        let Ok(model) = change.key.parse::<ModelName>() else {
            warn!(key = change.key, "a deployment stands under a key that is no model");
            return;
        };
        let is_misplaced = change.value.as_ref().is_some_and(|deployment| deployment.model != model);
        if is_misplaced {
            warn!(%model, "a deployment of another model stands under this key");
            return;
        }
        let wanted = match change.value {
            None => Wanted::Nothing,
            Some(deployment) if deployment.selects(&self.shared.settings.labels) => {
                Wanted::Here(Arc::new(deployment), change.revision)
            }
            Some(deployment) => Wanted::Elsewhere(Arc::new(deployment)),
        };
        if let Some(sender) = self.models.get(&model) {
            sender.send_replace(wanted);
            return;
        }
        // What this worker never had needs no task.
        let Wanted::Here(deployment, _) = &wanted else { return };
        // Before the task runs, so that the worker cannot seem ready in between.
        self.shared.board.loading(deployment);
        let (sender, receiver) = watch::channel(wanted);
        let task = self.following.track_future(follow(self.shared.clone(), model.clone(), receiver));
        self.shared.context.tasks.spawn_finite("model", async move {
            task.await;
            Ok::<(), Error>(())
        });
        self.models.insert(model, sender);
    }
}
