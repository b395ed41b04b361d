//! The version that a job begins with.

use leat_contract::{AssetRole, CompressSpec, DatasetRef, ErrorCode, Manifest};
use leat_messaging::KeyValue;
use leat_service_runtime::Context;
use leat_service_runtime::jobs::Failure;

/// Looks a version up in the registry.
///
/// # Errors
/// [`Failure::Refused`] when there is no such version or it has been deleted.
pub(crate) async fn find(spec: &CompressSpec, context: &Context) -> Result<Manifest, Failure> {
    let manifests: KeyValue<Manifest> = context.storage.key_value(AssetRole::Registry);
    let reference = spec.model.at(spec.version);
    let not_found = |what: &str| Failure::refused(ErrorCode::NotFound, format!("{reference} {what}"));
    let entry = manifests.get(&Manifest::key(&spec.model, spec.version)).await?;
    let manifest = entry.ok_or_else(|| not_found("is not in the registry"))?.value;
    if manifest.deleted { Err(not_found("has been deleted")) } else { Ok(manifest) }
}

/// The data set of the job: the one it names, else the one the version was trained on.
pub(crate) fn dataset(spec: &CompressSpec, parent: &Manifest) -> Result<DatasetRef, Failure> {
    let dataset = spec.dataset.as_ref().or(parent.dataset.as_ref());
    dataset.cloned().ok_or_else(|| names_no("data set", parent, "name one in the job"))
}

/// The column that the version predicts.
pub(crate) fn target(parent: &Manifest) -> Result<String, Failure> {
    parent.target.clone().ok_or_else(|| names_no("target", parent, "register it with one"))
}

fn names_no(what: &str, parent: &Manifest, remedy: &str) -> Failure {
    let message = format!("{} names no {what}: {remedy}", parent.model.at(parent.version));
    Failure::refused(ErrorCode::InvalidArgument, message)
}
