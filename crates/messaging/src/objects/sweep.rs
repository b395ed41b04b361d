//! Finds pieces that no object has.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::Objects;
use crate::Error;
use crate::jetstream::TIME_STAMP;

pub(super) async fn sweep(objects: &Objects, age: Duration) -> Result<usize, Error> {
    // The pieces come first: whatever has its record by now is in the second listing.
    let filter = objects.chunk_subject("*");
    let subjects = objects.jetstream.subjects(&objects.stream(), &filter).await?;
    let records = objects.records().await?;
    let in_use: BTreeSet<String> = records.iter().map(|record| objects.chunk_subject(&record.nuid)).collect();
    let mut swept = 0;
    for subject in subjects.iter().filter(|subject| !in_use.contains(*subject)) {
        if is_older(objects, subject, age).await? {
            objects.jetstream.purge(&objects.stream(), subject).await?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// Whether the last piece was stored at least `age` ago.
async fn is_older(objects: &Objects, subject: &str, age: Duration) -> Result<bool, Error> {
    let Some(last) = objects.jetstream.last(&objects.stream(), subject).await? else { return Ok(false) };
    let stored_at = last.header(TIME_STAMP).and_then(|time| time.parse::<Timestamp>().ok());
    let stored_at = stored_at.ok_or_else(|| Error::Decode {
        what: format!("the last piece on {subject}"),
        reason: "the broker gave no time".to_owned(),
    })?;
    let passed = Duration::try_from(Timestamp::now().duration_since(stored_at)).unwrap_or_default();
    Ok(passed >= age)
}
