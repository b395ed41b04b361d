//! The status document of a job in the hands of one worker.

use std::time::Duration;

use leat_contract::{Error as ContractError, JobStatus};
use leat_messaging::{Entry, Error as MessagingError, KeyValue};
use tokio::time::sleep;

use super::setback::Setback;

/// Somebody who writes the same document at the same moment wins at most this often in a row.
const WRITES_MAX: usize = 16;
/// How long a replica that lags behind is given to catch up.
pub(super) const STALE_PAUSE: Duration = Duration::from_millis(50);

/// The status document of a job. It can be changed as long as its epoch is the one it was taken with and its state is
/// not final.
#[derive(Debug)]
pub(super) struct Document {
    statuses: KeyValue<JobStatus>,
    entry: Entry<JobStatus>,
    epoch: u64,
}

impl Document {
    /// Gives the document with the epoch that it has now.
    pub(super) fn new(statuses: KeyValue<JobStatus>, entry: Entry<JobStatus>) -> Self {
        let epoch = entry.value.epoch;
        Self { statuses, entry, epoch }
    }

    /// As it was read or written last.
    pub(super) fn status(&self) -> &JobStatus {
        &self.entry.value
    }

    /// Reads what others changed.
    pub(super) async fn refresh(&mut self) -> Result<(), Setback> {
        let found = self.statuses.get(&self.entry.key).await?;
        let is_ours =
            |entry: &Entry<JobStatus>| entry.value.epoch == self.epoch && !entry.value.state.is_final();
        // A replica that lags behind knows less than we do.
        if found.as_ref().is_some_and(|found| found.revision < self.entry.revision) {
            return Ok(());
        }
        self.entry = found.filter(is_ours).ok_or(Setback::Lost)?;
        Ok(())
    }

    /// Changes the document, on top of what others changed. `edit` may be called several times.
    ///
    /// # Errors
    /// [`Setback::Lost`] when the job is no longer ours or `edit` finds that it cannot move there.
    pub(super) async fn change(
        &mut self,
        edit: impl Fn(&mut JobStatus) -> Result<(), ContractError>,
    ) -> Result<(), Setback> {
        for _ in 0..WRITES_MAX {
            let mut next = self.entry.value.clone();
            edit(&mut next).map_err(|_| Setback::Lost)?;
            match self.statuses.update(&self.entry.key, &next, self.entry.revision).await {
                Ok(revision) => {
                    self.entry = Entry { value: next, revision, key: self.entry.key.clone() };
                    return Ok(());
                }
                Err(MessagingError::Conflict { .. }) => {
                    let known = self.entry.revision;
                    self.refresh().await?;
                    if self.entry.revision == known {
                        sleep(STALE_PAUSE).await;
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(MessagingError::Conflict { key: self.entry.key.clone() }.into())
    }

    /// Takes the job: the epoch rises, and whoever had it before has lost it.
    pub(super) async fn claim(
        &mut self,
        edit: impl Fn(&mut JobStatus) -> Result<(), ContractError>,
    ) -> Result<(), Setback> {
        self.change(edit).await?;
        self.epoch = self.entry.value.epoch;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use leat_test_harness::{JobDesk, broker};

    use super::*;

    #[tokio::test]
    async fn an_older_revision_does_not_replace_a_newer_one() {
        let broker = broker().await;
        let desk = JobDesk::open(&broker.url()).await;
        let spec = r#"{"kind": "train", "model": "toy", "dataset": {"digest": "sha256-DIGEST", "name": "toy.csv"},
            "target": "y", "hidden": [], "learning_rate": 0.1, "epochs": 1, "held_out_ratio": 0.2, "seed": 0}"#;
        let spec = serde_json::from_str(&spec.replace("DIGEST", &"0".repeat(64))).unwrap();
        let stored = JobStatus::queued("stale".parse().unwrap(), spec, JobDesk::now());
        let revision = desk.statuses.create("stale", &stored).await.unwrap();
        let known = JobStatus { cancel_requested: true, ..stored };
        let entry = Entry { key: "stale".to_owned(), value: known, revision: revision + 1 };
        let mut document = Document::new(desk.statuses.clone(), entry);
        document.refresh().await.unwrap();
        assert!(document.status().cancel_requested);
        desk.change(&"stale".parse().unwrap(), |status| status.attempt = 2).await;
        document.refresh().await.unwrap();
        assert_eq!((document.status().attempt, document.status().cancel_requested), (2, false));
    }
}
