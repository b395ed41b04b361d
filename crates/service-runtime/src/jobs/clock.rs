use std::time::{SystemTime, UNIX_EPOCH};

/// Unix milliseconds, as documents hold them. A clock before 1970 counts as 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
