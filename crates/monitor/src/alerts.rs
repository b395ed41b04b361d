//! Which alerts are on: each starts after some bad windows in a row and ends after as many good ones.

use std::collections::{BTreeMap, BTreeSet};

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

#[derive(Debug)]
struct Standing {
    latest: Reading,
    /// When the alert started; none while it is off.
    since: Option<u64>,
    /// Windows in a row that contradict the state.
    against: u32,
}

impl AlertBook {
    /// Takes the readings of one window; gives the alerts that start or end with it.
    ///
    /// A condition that `is_watched` and is no longer read is well: its version was rolled back, its model undeployed, or too
    /// little happens to judge it. So it ends like any other, after as many windows.
    pub(crate) fn read_all(
        &mut self,
        readings: Vec<Reading>,
        is_watched: impl Fn(&Condition) -> bool,
        now: u64,
    ) -> Vec<Alert> {
        let read: BTreeSet<&Condition> = readings.iter().map(|reading| &reading.condition).collect();
        let unread = self.conditions.iter().filter(|(condition, _)| !read.contains(condition));
        let unread = unread.filter(|(condition, _)| is_watched(condition));
        let well: Vec<Reading> = unread.map(|(_, standing)| standing.unread()).collect();
        readings.into_iter().chain(well).filter_map(|reading| self.read(reading, now)).collect()
    }

    /// Takes a reading; gives an alert when it starts or ends one.
    fn read(&mut self, reading: Reading, now: u64) -> Option<Alert> {
        let condition = reading.condition.clone();
        let standing = self.conditions.entry(condition.clone()).or_insert_with(|| Standing::new(&reading));
        standing.latest = reading;
        let is_on = standing.since.is_some();
        let agrees = standing.latest.is_bad == is_on;
        standing.against = if agrees { 0 } else { standing.against + 1 };
        let has_changed = standing.against >= standing.latest.windows.max(1);
        let alert = has_changed.then(|| standing.switch(now));
        if standing.since.is_none() && standing.against == 0 {
            self.conditions.remove(&condition);
        }
        alert
    }
}

impl Standing {
    fn new(reading: &Reading) -> Self {
        Self { latest: reading.clone(), since: None, against: 0 }
    }

    fn unread(&self) -> Reading {
        Reading { is_bad: false, message: "no longer measured".to_owned(), ..self.latest.clone() }
    }

    fn switch(&mut self, now: u64) -> Alert {
        self.against = 0;
        let (state, since) = match self.since.take() {
            Some(since) => (AlertState::Ended, since),
            None => {
                self.since = Some(now);
                (AlertState::Started, now)
            }
        };
        let Reading { condition, value, threshold, message, .. } = &self.latest;
        Alert {
            id: condition.id(since),
            model: condition.model.clone(),
            version: condition.version,
            kind: condition.kind.to_owned(),
            state,
            at: now,
            since,
            value: *value,
            threshold: *threshold,
            message: message.clone(),
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

    #[test]
    fn a_condition_that_is_no_longer_read_ends_after_as_many_windows() {
        let mut book = AlertBook::default();
        let all = |_: &Condition| true;
        for at in 1..=2 {
            book.read_all(vec![reading(true)], all, at);
        }
        assert_eq!(book.read_all(Vec::new(), |_| false, 3), [], "nobody knows whether it still holds");
        assert_eq!(book.read_all(Vec::new(), all, 4), []);
        let ended = book.read_all(Vec::new(), all, 5);
        assert_eq!((ended.len(), ended[0].state, ended[0].since), (1, AlertState::Ended, 2));
        assert_eq!(ended[0].message, "no longer measured");
        assert!(book.conditions.is_empty());
    }

    #[test]
    fn a_bad_window_that_is_followed_by_none_is_forgotten() {
        let mut book = AlertBook::default();
        assert_eq!(book.read_all(vec![reading(true)], |_| true, 1), []);
        assert_eq!(book.read_all(Vec::new(), |_| true, 2), []);
        assert!(book.conditions.is_empty());
    }
}
