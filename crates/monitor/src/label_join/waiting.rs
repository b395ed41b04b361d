use std::collections::{BTreeSet, HashMap};

use leat_contract::RequestId;

/// What waits for its counterpart: found by request id, given up by age.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    by_id: HashMap<RequestId, Entry<T>>,
    by_age: BTreeSet<(u64, RequestId)>,
    /// The size of all entries together.
    values: usize,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    values: usize,
    content: T,
}

impl<T> Waiting<T> {
    pub(super) fn new() -> Self {
        Self { by_id: HashMap::new(), by_age: BTreeSet::new(), values: 0 }
    }

    /// Adds an entry that came at a time and holds so many values. One with the same id gives way.
    pub(super) fn insert(&mut self, id: RequestId, at: u64, values: usize, content: T) {
        self.remove(&id);
        self.values = self.values.saturating_add(values);
        self.by_age.insert((at, id.clone()));
        self.by_id.insert(id, Entry { at, values, content });
    }

    pub(super) fn remove(&mut self, id: &RequestId) -> Option<(u64, T)> {
        let Entry { at, values, content } = self.by_id.remove(id)?;
        self.by_age.remove(&(at, id.clone()));
        self.values = self.values.saturating_sub(values);
        Some((at, content))
    }

    pub(super) fn get_mut(&mut self, id: &RequestId) -> Option<(u64, &mut T)> {
        self.by_id.get_mut(id).map(|entry| (entry.at, &mut entry.content))
    }

    pub(super) fn contains(&self, id: &RequestId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Takes out the oldest entry if it came before a time.
    pub(super) fn pop_before(&mut self, time: u64) -> Option<T> {
        let (at, id) = self.by_age.first()?.clone();
        if at < time { self.remove(&id).map(|(_, content)| content) } else { None }
    }

    /// Takes out the oldest entry while there are more entries or more values than these.
    pub(super) fn pop_beyond(&mut self, entries_max: usize, values_max: usize) -> Option<T> {
        let is_beyond = self.by_id.len() > entries_max || self.values > values_max;
        if is_beyond { self.pop_before(u64::MAX) } else { None }
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
