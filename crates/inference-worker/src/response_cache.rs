//! Answers to requests that came before, for deployments that ask for it.
//!
//! Two generations: what is used moves into the young one, and when that is half of all there may be, it becomes the old one
//! and the former old one is forgotten. So memory is bounded, and what is asked for often stays.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use leat_contract::Digest;

/// What an entry takes besides its values.
const ENTRY_BYTES: usize = 128;

/// The answers of one model.
#[derive(Debug)]
pub(crate) struct ResponseCache {
    bytes_max: usize,
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    entries: HashMap<u64, Entry>,
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    digest: Digest,
    input: Arc<[f32]>,
    output: Arc<[f32]>,
}

impl ResponseCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, hasher: RandomState::new(), state: Mutex::default() }
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The answer of the version with this digest to exactly these rows.
    pub(crate) fn get(&self, digest: &Digest, input: &[f32]) -> Option<Arc<[f32]>> {
        let key = self.key(digest, input);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found =
            state.young.get(key, digest, input).or_else(|| state.old.get(key, digest, input)).cloned();
        let entry = found?;
        let output = entry.output.clone();
        if !state.young.entries.contains_key(&key) {
            state.insert(key, entry, self.bytes_max);
        }
        Some(output)
    }

    /// Keeps an answer. One that takes more than half of the memory is not kept.
    pub(crate) fn insert(&self, digest: &Digest, input: &[f32], output: &[f32]) {
        let entry = Entry { digest: digest.clone(), input: input.into(), output: output.into() };
        let key = self.key(digest, input);
        if entry.bytes() <= self.bytes_max / 2 {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).insert(key, entry, self.bytes_max);
        }
    }

    fn key(&self, digest: &Digest, input: &[f32]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        digest.as_str().hash(&mut hasher);
        input.iter().for_each(|value| hasher.write_u32(value.to_bits()));
        hasher.finish()
    }
}

impl State {
    fn insert(&mut self, key: u64, entry: Entry, bytes_max: usize) {
        let bytes = entry.bytes();
        if self.young.bytes + bytes > bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += bytes;
        if let Some(replaced) = self.young.entries.insert(key, entry) {
            self.young.bytes -= replaced.bytes();
        }
    }
}

impl Generation {
    /// Two requests may have the same hash, so the rows themselves are compared.
    fn get(&self, key: u64, digest: &Digest, input: &[f32]) -> Option<&Entry> {
        let is_same = |entry: &&Entry| {
            let (kept, asked) = (entry.input.iter(), input.iter());
            entry.digest == *digest
                && kept.map(|value| value.to_bits()).eq(asked.map(|value| value.to_bits()))
        };
        self.entries.get(&key).filter(is_same)
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.digest.as_str().len() + 4 * (self.input.len() + self.output.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> Digest {
        Digest::new(format!("sha256-{number:064x}")).unwrap()
    }

    #[test]
    fn only_the_same_rows_for_the_same_blob_have_an_answer() {
        let cache = ResponseCache::new(1 << 20);
        cache.insert(&digest(1), &[1.0, f32::NAN], &[7.0]);
        assert_eq!(cache.get(&digest(1), &[1.0, f32::NAN]).as_deref(), Some(&[7.0][..]));
        assert_eq!(cache.get(&digest(2), &[1.0, f32::NAN]), None);
        assert_eq!(cache.get(&digest(1), &[1.0, 0.0]), None);
        assert_eq!(cache.get(&digest(1), &[1.0]), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_asked_for_stays() {
        let cache = ResponseCache::new(64 * 1024);
        cache.insert(&digest(1), &[-1.0], &[0.5]);
        for number in 0..10_000 {
            cache.insert(&digest(1), &[number as f32], &[0.0]);
            assert!(cache.get(&digest(1), &[-1.0]).is_some(), "after {number}");
        }
        let state = cache.state.lock().unwrap();
        assert!(state.young.bytes + state.old.bytes <= 64 * 1024);
        assert!(state.young.entries.len() + state.old.entries.len() < 400);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let cache = ResponseCache::new(1024);
        cache.insert(&digest(1), &[0.0; 200], &[0.0]);
        assert_eq!(cache.get(&digest(1), &[0.0; 200]), None);
    }
}
