//! States of running jobs, from which another worker goes on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use leat_contract::{AssetRole, CheckpointRef, JobStatus};
use leat_messaging::{Error as MessagingError, Objects};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::document::Document;
use super::pulse::Snapshot;
use super::setback::Setback;
use crate::Context;

/// An upload is followed by a rest of so many times what it took: checkpoints take a tenth of the network at most.
const REST: u32 = 10;
/// Uploads that were given up leave pieces behind. None takes so long.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// The states of running jobs. Every object is written once, under a name that no other worker uses.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    objects: Objects,
}

impl Checkpoints {
    pub(super) fn new(context: &Context) -> Self {
        Self { objects: context.storage.objects(AssetRole::Checkpoints) }
    }

    /// Stores a state. Until [`Checkpoints::point`] nobody goes on from it.
    async fn store(
        &self,
        saved: CheckpointRef,
        snapshot: Arc<Snapshot>,
    ) -> Result<CheckpointRef, MessagingError> {
        self.objects.put_named(&saved.object, &snapshot.bytes).await?;
        Ok(saved)
    }

    /// Makes the document point at a stored state, and only then removes the one before.
    pub(super) async fn point(&self, document: &mut Document, saved: &CheckpointRef) -> Result<(), Setback> {
        let before = document.status().checkpoint.clone();
        if before.as_ref() == Some(saved) {
            return Ok(());
        }
        let pointed = document.change(|status| {
            status.checkpoint = Some(saved.clone());
            Ok(())
        });
        match pointed.await {
            Ok(()) => self.forget(before.as_ref()).await,
            Err(Setback::Lost) => {
                self.forget(Some(saved)).await;
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

    /// Removes what uploads left behind whose worker died.
    pub(super) async fn sweep(&self) {
        match self.objects.sweep(ABANDONED_AFTER).await {
            Ok(0) => {}
            Ok(swept) => debug!(swept, "pieces of abandoned checkpoints are removed"),
            Err(error) => warn!(%error, "pieces of abandoned checkpoints stay for now"),
        }
    }
}

/// At most one upload at a time, beside the rest of the job: a slow one delays neither progress nor cancelling.
pub(super) struct Upload {
    checkpoints: Checkpoints,
    under_way: Option<UnderWay>,
    rests_until: Option<Instant>,
}

struct UnderWay {
    saved: CheckpointRef,
    began: Instant,
    storing: BoxFuture<'static, Result<CheckpointRef, MessagingError>>,
}

impl Upload {
    pub(super) fn new(checkpoints: &Checkpoints) -> Self {
        Self { checkpoints: checkpoints.clone(), under_way: None, rests_until: None }
    }

    /// Whether the next one may begin.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.rests_until.is_none_or(|until| Instant::now() >= until)
    }

    /// Begins to store a state, unless it is the one that is being stored; gives up any other.
    pub(super) fn begin(&mut self, status: &JobStatus, snapshot: Arc<Snapshot>) {
        let (job, epoch, position) = (&status.id, status.epoch, snapshot.position);
        let saved = CheckpointRef { object: format!("{job}-{epoch}-{position}"), position };
        let is_known = status.checkpoint.as_ref() == Some(&saved)
            || self.under_way.as_ref().is_some_and(|under_way| under_way.saved == saved);
        if is_known {
            return;
        }
        let (checkpoints, to_store) = (self.checkpoints.clone(), saved.clone());
        let storing = async move { checkpoints.store(to_store, snapshot).await }.boxed();
        self.under_way = Some(UnderWay { saved, began: Instant::now(), storing });
    }

    /// What the upload under way comes to, if there is one. Dropping the future loses nothing.
    pub(super) async fn end(&mut self) -> Option<Result<CheckpointRef, MessagingError>> {
        let under_way = self.under_way.as_mut()?;
        let stored = (&mut under_way.storing).await;
        self.rests_until = Some(Instant::now() + under_way.began.elapsed() * REST);
        self.under_way = None;
        Some(stored)
    }
}
