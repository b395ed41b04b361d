//! Which alerts are on: each starts after some bad windows in a row and ends after as many good ones.

use std::collections::BTreeMap;

use leat_contract::{Alert, AlertState, ModelName, ModelVersion};

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Condition {
    pub(crate) model: ModelName,
    pub(crate) version: Option<ModelVersion>,
    pub(crate) kind: &'static str,
    /// Tells conditions of one kind apart, for example the worker that is lost.
    pub(crate) subject: String,
}

/// How a condition stands in one window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) condition: Condition,
    pub(crate) is_bad: bool,
    pub(crate) value: f64,
    pub(crate) threshold: f64,
    pub(crate) message: String,
    /// Bad or good windows in a row that it takes; 1 for what needs no second look.
    pub(crate) windows: u32,
}

/// Remembers what was on and for how long it has been otherwise.
#[derive(Debug, Default)]
pub(crate) struct AlertBook {
    conditions: BTreeMap<Condition, Standing>,
}

#[derive(Debug, Default)]
struct Standing {
    /// When the alert started; none while it is off.
    since: Option<u64>,
    /// Windows in a row that contradict the state.
    against: u32,
}

impl AlertBook {
    /// Takes a reading; gives an alert when it starts or ends one.
    pub(crate) fn read(&mut self, reading: Reading, now: u64) -> Option<Alert> {
        let standing = self.conditions.entry(reading.condition.clone()).or_default();
        let is_on = standing.since.is_some();
        standing.against = if reading.is_bad == is_on { 0 } else { standing.against + 1 };
        let has_changed = standing.against >= reading.windows.max(1);
        let alert = has_changed.then(|| standing.switch(&reading, now));
        if standing.since.is_none() && standing.against == 0 {
            self.conditions.remove(&reading.condition);
        }
        alert
    }
}

impl Standing {
    fn switch(&mut self, reading: &Reading, now: u64) -> Alert {
        self.against = 0;
        let (state, since) = match self.since.take() {
            Some(since) => (AlertState::Ended, since),
            None => {
                self.since = Some(now);
                (AlertState::Started, now)
            }
        };
        Alert {
            id: reading.condition.id(since),
            model: reading.condition.model.clone(),
            version: reading.condition.version,
            kind: reading.condition.kind.to_owned(),
            state,
            at: now,
            since,
            value: reading.value,
            threshold: reading.threshold,
            message: reading.message.clone(),
        }
    }
}

impl Condition {
    fn id(&self, since: u64) -> String {
        let version = self.version.map(|version| format!("@{version}")).unwrap_or_default();
        let subject = if self.subject.is_empty() { String::new() } else { format!(".{}", self.subject) };
        format!("{}.{}{version}{subject}.{since}", self.kind, self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(is_bad: bool) -> Reading {
        let condition = Condition {
            model: "digits".parse().unwrap(),
            version: None,
            kind: "error_ratio",
            subject: String::new(),
        };
        Reading {
            condition,
            is_bad,
            value: 0.2,
            threshold: 0.05,
            message: "20 % failed".to_owned(),
            windows: 2,
        }
    }

    #[test]
    fn starts_after_two_bad_windows_and_ends_after_two_good_ones() {
        let mut book = AlertBook::default();
        assert_eq!(book.read(reading(true), 1), None);
        let started = book.read(reading(true), 2).unwrap();
        assert_eq!((started.state, started.since), (AlertState::Started, 2));
        assert_eq!(book.read(reading(true), 3), None);
        assert_eq!(book.read(reading(false), 4), None);
        let ended = book.read(reading(false), 5).unwrap();
        assert_eq!((ended.state, ended.since, ended.at), (AlertState::Ended, 2, 5));
        assert_eq!(ended.id, started.id);
    }

    #[test]
    fn one_window_out_of_line_changes_nothing() {
        let mut book = AlertBook::default();
        for (at, is_bad) in [true, false, true, false].into_iter().enumerate() {
            assert_eq!(book.read(reading(is_bad), at as u64), None);
        }
        assert!(book.conditions.is_empty(), "a condition that is well leaves nothing behind");
    }
}
