//! Bounds of settings.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Settings that can say whether their values make sense together.
pub trait Validate {
    /// Gives the first value that does not make sense.
    fn validate(&self) -> Result<(), Invalid>;

    /// Gives the first value that does not fit into the time that all of stopping may take. What a service does before it stops, it says here.
    fn validate_stopping(&self, deadline: Duration) -> Result<(), Invalid> {
        let _ = deadline;
        Ok(())
    }
}

/// A setting that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    field: &'static str,
    reason: String,
}

impl Invalid {
    /// Names a field and says what is wrong with it, naming the value.
    pub fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }
}

/// Refuses a value outside of a range.
pub fn within<T: PartialOrd + Display>(
    field: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Invalid> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} is not within {} to {}", range.start(), range.end())))
}

/// Refuses a value above a limit, which another setting may give.
pub fn at_most<T: PartialOrd + Display>(field: &'static str, value: T, limit: T) -> Result<(), Invalid> {
    if value <= limit {
        return Ok(());
    }
    Err(Invalid::new(field, format!("{value} exceeds {limit}")))
}
