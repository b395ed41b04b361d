//! Writes what was decided about canaries, unless somebody else has changed the deployment since.

use leat_contract::{Alias, AssetRole, Deployment, RolloutEnd, RolloutEvent, Subjects};
use leat_messaging::{Error, EventLog, KeyValue, Storage};
use leat_service_runtime::unix_ms;
use tokio::sync::mpsc;

use crate::canary::Decision;

/// Decisions that may wait to be written. One that finds no room is made again by the next windows.
pub(crate) const DECISIONS_MAX: usize = 256;

/// The alias of the version with the largest share.
const PRODUCTION: &str = "production";

/// Writes decisions until nobody makes any more.
///
/// # Errors
/// Never: what cannot be written now is decided again.
pub(crate) async fn write(
    storage: Storage,
    subjects: Subjects,
    mut decisions: mpsc::Receiver<Decision>,
) -> Result<(), std::convert::Infallible> {
    let writer = Writer {
        deployments: storage.key_value(AssetRole::Desired),
        aliases: storage.key_value(AssetRole::Registry),
        events: storage.event_log(AssetRole::Events),
        subjects,
    };
    while let Some(decision) = decisions.recv().await {
        let (model, version) = (decision.deployment.model.clone(), decision.version);
        match writer.write(decision).await {
            Ok(()) => {}
            Err(Error::Conflict { .. }) => {
                tracing::info!(%model, %version, "the deployment was changed by somebody else")
            }
            Err(error) => {
                tracing::warn!(%model, %version, %error, "the end of a canary could not be written")
            }
        }
    }
    Ok(())
}

struct Writer {
    deployments: KeyValue<Deployment>,
    aliases: KeyValue<Alias>,
    events: EventLog,
    subjects: Subjects,
}

impl Writer {
    async fn write(&self, decision: Decision) -> Result<(), Error> {
        let Decision { deployment, revision, version, end, requests, reason } = decision;
        let at = unix_ms();
        let next = match end {
            RolloutEnd::Promoted => deployment.with_canary_promoted(at),
            RolloutEnd::RolledBack => deployment.with_canary_rolled_back(at),
        };
        let Some(next) = next else { return Ok(()) };
        let model = next.model.clone();
        let written = self.deployments.update(model.as_str(), &next, revision).await?;
        tracing::info!(%model, %version, %end, requests, reason, "a canary has ended");
        if end == RolloutEnd::Promoted
            && let Ok(production) = PRODUCTION.parse()
        {
            self.aliases.put(&Alias::key(&model, &production), &Alias { version, updated_at: at }).await?;
        }
        let subject = self.subjects.rollout_event(&model, end);
        let id = format!("rollout.{model}.{written}");
        let event = RolloutEvent { model, version, what: end, at, requests, reason };
        match serde_json::to_vec(&event) {
            Ok(payload) => self.events.publish(subject, Some(&id), payload).await.map(|_| ()),
            Err(error) => {
                tracing::error!(%error, subject, "cannot write an event");
                Ok(())
            }
        }
    }
}
