//! Objects that several things may need, removed with the last of them.
//!
//! Whoever comes to need an object says so where others look, and then calls [`Objects::keep`]. Whoever removes one looks at the object,
//! then asks whether it is needed, and removes exactly what it looked at. So of the two the later one sees the earlier one: either it is
//! known to be needed, or what was looked at is no longer what stands there, or it is stored again.

use super::{Objects, Replacement, record};
use crate::Error;

/// How often an object that others keep changing is looked at.
const LOOKS_MAX: u32 = 10;

impl Objects {
    /// Makes sure of bytes that were stored with [`Objects::put`] a while ago: what is there is no longer what somebody looked at before,
    /// and what was removed is stored again.
    pub async fn keep(&self, bytes: &[u8]) -> Result<(), Error> {
        let hash = record::Hash::of(bytes);
        let name = hash.name();
        match self.replace_record(&name, |current| current.cloned()).await? {
            Replacement::Made(_) => Ok(()),
            Replacement::Unwanted => self.put_hashed(&name, bytes, hash).await,
        }
    }

    /// Removes an object unless it is needed, which is asked after it was looked at; says whether it is gone. Fails with
    /// [`Error::Conflict`] when others change it again and again.
    pub async fn delete_unless<E: From<Error>>(
        &self,
        name: &str,
        is_needed: impl AsyncFn() -> Result<bool, E>,
    ) -> Result<bool, E> {
        for _ in 0..LOOKS_MAX {
            let (current, sequence) = self.revision(name).await?;
            let Some(current) = current.filter(|record| !record.deleted) else { return Ok(true) };
            if is_needed().await? {
                return Ok(false);
            }
            match self.write_record(name, &current.deleted(), sequence).await {
                Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.jetstream.purge(&self.stream(), &self.chunk_subject(&current.nuid)).await?;
                    return Ok(true);
                }
            }
        }
        Err(Error::Conflict { key: name.to_owned() }.into())
    }
}
