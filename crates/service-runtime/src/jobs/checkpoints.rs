//! States of running jobs, from which another worker goes on.

use leat_contract::{AssetRole, CheckpointRef, JobStatus};
use leat_messaging::{Error as MessagingError, Objects};
use tracing::warn;

use super::document::Document;
use super::pulse::Snapshot;
use super::setback::Setback;
use crate::Context;

/// The states of running jobs. Every object is written once, under a name that no other worker uses.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    objects: Objects,
}

impl Checkpoints {
    pub(super) fn new(context: &Context) -> Self {
        Self { objects: context.storage.objects(AssetRole::Checkpoints) }
    }

    /// Stores a state, makes the document point at it, and only then removes the one before.
    pub(super) async fn save(&self, document: &mut Document, snapshot: &Snapshot) -> Result<(), Setback> {
        let (job, epoch, position) = (&document.status().id, document.status().epoch, snapshot.position);
        let saved = CheckpointRef { object: format!("{job}-{epoch}-{position}"), position };
        let before = document.status().checkpoint.clone();
        if before.as_ref() == Some(&saved) {
            return Ok(());
        }
        self.objects.put_named(&saved.object, &snapshot.bytes).await?;
        let pointed = document.change(|status| {
            status.checkpoint = Some(saved.clone());
            Ok(())
        });
        match pointed.await {
            Ok(()) => self.forget(before.as_ref()).await,
            Err(Setback::Lost) => {
                self.forget(Some(&saved)).await;
                return Err(Setback::Lost);
            }
            Err(setback) => return Err(setback),
        }
        Ok(())
    }

    /// The state to go on from, if there is one that can be read.
    pub(super) async fn load(&self, status: &JobStatus) -> Result<Option<Vec<u8>>, Setback> {
        let Some(checkpoint) = &status.checkpoint else { return Ok(None) };
        match self.objects.get(&checkpoint.object).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error @ (MessagingError::Missing { .. } | MessagingError::Damaged { .. })) => {
                warn!(job = %status.id, %error, "the job begins anew, its checkpoint is gone");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a state that nobody needs. What stays behind expires by itself.
    pub(super) async fn forget(&self, checkpoint: Option<&CheckpointRef>) {
        let Some(checkpoint) = checkpoint else { return };
        if let Err(error) = self.objects.delete(&checkpoint.object).await {
            warn!(object = checkpoint.object, %error, "an old checkpoint stays until it expires");
        }
    }
}
