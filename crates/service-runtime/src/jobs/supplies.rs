//! Getting the objects that a job names.

use leat_contract::{AssetRole, Digest, ErrorCode};

use super::Failure;
use crate::Context;

/// Gives the bytes of an object, checked against its digest.
///
/// # Errors
/// [`Failure::Refused`] when there is none, it is damaged, or it has more than `bytes_max` bytes; nothing is downloaded
/// then.
pub async fn fetch(
    context: &Context,
    role: AssetRole,
    digest: &Digest,
    bytes_max: u64,
) -> Result<Vec<u8>, Failure> {
    let objects = context.storage.objects(role);
    let what = if role == AssetRole::Datasets { "data set" } else { "blob" };
    match objects.size(digest.as_str()).await? {
        None => {
            Err(Failure::refused(ErrorCode::NotFound, format!("{what} {digest} is not in the object store")))
        }
        Some(bytes) if bytes > bytes_max => Err(Failure::refused(
            ErrorCode::TooLarge,
            format!("{what} {digest} has {bytes} bytes, the limit is {bytes_max}"),
        )),
        Some(_) => Ok(objects.get(digest.as_str()).await?),
    }
}
