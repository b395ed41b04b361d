//! Giving the product of a job its version, exactly once.

use leat_contract::{
    AssetRole, ErrorCode, ErrorDetail, JobResult, JobStatus, Manifest, ModelName, ModelVersion,
};
use leat_messaging::{Error as MessagingError, KeyValue, Objects};

use super::document::Document;
use super::setback::Setback;
use super::work::Product;
use crate::{Context, unix_ms};

/// Other jobs of the same model that register at the same moment win at most this often in a row.
const NUMBERS_MAX: usize = 64;

/// The registry and the blobs it points at.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    manifests: KeyValue<Manifest>,
    blobs: Objects,
}

impl Registration {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            manifests: context.storage.key_value(AssetRole::Registry),
            blobs: context.storage.objects(AssetRole::Models),
        }
    }

    /// The version that an earlier attempt at this job registered, if one did.
    pub(super) async fn existing(&self, document: &Document) -> Result<Option<JobResult>, Setback> {
        let status = document.status();
        let Some(version) = status.reserved_version else { return Ok(None) };
        let found = self.manifests.get(&Manifest::key(status.spec.model(), version)).await?;
        let ours = found.filter(|entry| entry.value.job.as_ref() == Some(&status.id));
        let Some(manifest) = ours.map(|entry| entry.value) else { return Ok(None) };
        // An attempt that ended between the two may have left a version whose blob was removed; the next attempt stores it again.
        let is_whole = manifest.deleted || self.blobs.exists(manifest.digest.as_str()).await?;
        Ok(is_whole.then(|| result(manifest)))
    }

    /// Registers the product under the number the document has reserved, or the next free one, and stores its blob.
    ///
    /// The number is reserved in the document, which is fenced, before it is used: a worker that lost the job fails
    /// there, and one that lost it afterwards creates the very version that its successor would.
    pub(super) async fn register(
        &self,
        document: &mut Document,
        product: &Product,
    ) -> Result<JobResult, Setback> {
        let (job, model) = (document.status().id.clone(), document.status().spec.model().clone());
        let mut number = match document.status().reserved_version {
            Some(reserved) => reserved,
            None => self.next_number(&model).await?,
        };
        // The fence comes first: a worker that lost the job leaves no blob that nobody points at. The blob comes before
        // the manifest: whoever sees the version can load it.
        reserve(document, number).await?;
        let digest = self.blobs.put(&product.blob).await?;
        let mut manifest = Manifest { digest, job: Some(job.clone()), ..product.manifest.clone() };
        for _ in 0..NUMBERS_MAX {
            (manifest.version, manifest.created_at) = (number, unix_ms());
            let key = Manifest::key(&model, number);
            match self.manifests.create(&key, &manifest).await {
                Ok(_) => {
                    // Since it was stored somebody may have removed the last version that was made of the same bytes.
                    self.blobs.keep(&product.blob).await?;
                    return Ok(result(manifest));
                }
                Err(MessagingError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            let taken = self.manifests.get(&key).await?.map(|entry| entry.value);
            match taken {
                Some(taken) if taken.job.as_ref() == Some(&job) => {
                    self.blobs.keep(&product.blob).await?;
                    return Ok(result(taken));
                }
                _ => number = self.next_number(&model).await?,
            }
            reserve(document, number).await?;
        }
        Err(MessagingError::Conflict { key: Manifest::key(&model, number) }.into())
    }

    /// One more than the highest number ever given; deleted versions keep theirs.
    async fn next_number(&self, model: &ModelName) -> Result<ModelVersion, Setback> {
        let entries = self.manifests.entries_matching(&format!("{model}.version.*")).await?;
        let numbers = entries.iter().filter_map(|entry| Manifest::parse_key(&entry.key));
        match numbers.map(|(_, version)| version).max() {
            None => Ok(ModelVersion::FIRST),
            Some(highest) => highest.next().ok_or_else(|| {
                let message = format!("model {model} has no version number left after {highest}");
                Setback::Refused(ErrorDetail::new(ErrorCode::Conflict, message))
            }),
        }
    }
}

async fn reserve(document: &mut Document, number: ModelVersion) -> Result<(), Setback> {
    let edit = |status: &mut JobStatus| {
        status.reserved_version = Some(number);
        Ok(())
    };
    document.change(edit).await
}

fn result(manifest: Manifest) -> JobResult {
    JobResult { model: manifest.model, version: manifest.version, digest: manifest.digest }
}
