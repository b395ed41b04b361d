use leat_messaging::{Entry, KeyValue};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, output};

/// The entries whose keys match `filter`. One that is not of the bucket's type, which a newer or a foreign program left, is
/// named on stderr and hides none of the others.
///
/// # Errors
/// When the bucket cannot be listed.
pub(crate) async fn readable<T: Serialize + DeserializeOwned>(
    bucket: &KeyValue<T>,
    filter: &str,
) -> Result<Vec<Entry<T>>, Error> {
    let (entries, unreadable) = bucket.entries_readable_matching(filter).await?;
    for error in unreadable {
        output::say(&format!("left out: {error}"));
    }
    Ok(entries)
}
