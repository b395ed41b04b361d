//! Listings that one bad document does not spoil.

use leat_messaging::{Entry, Error as MessagingError, KeyValue};
use serde::{Serialize, de::DeserializeOwned};

use crate::Error;

/// Told of each document that is left out of a listing because it is not of its bucket's type: a newer or a foreign program
/// left it.
pub type LeftOut = fn(&MessagingError);

/// The entries whose keys match `filter` and that can be read.
///
/// # Errors
/// When the bucket cannot be listed.
pub(crate) async fn readable<T: Serialize + DeserializeOwned>(
    bucket: &KeyValue<T>,
    filter: &str,
    left_out: LeftOut,
) -> Result<Vec<Entry<T>>, Error> {
    let (entries, unreadable) = bucket.entries_readable_matching(filter).await?;
    unreadable.iter().for_each(left_out);
    Ok(entries)
}
