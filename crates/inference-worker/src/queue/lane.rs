//! Items that wait for the same, in the order in which they came.

use std::collections::VecDeque;
use std::time::Instant;

use super::Queued;

#[derive(Debug)]
pub(super) struct Lane<T> {
    pub(super) waiting: VecDeque<T>,
    pub(super) bytes: usize,
    pub(super) cost_ns: u64,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, cost_ns: 0 }
    }
}

impl<T: Queued> Lane<T> {
    pub(super) fn push(&mut self, item: T) {
        self.bytes += item.bytes();
        self.cost_ns = self.cost_ns.saturating_add(item.cost_ns());
        self.waiting.push_back(item);
    }

    pub(super) fn pop_front(&mut self) -> Option<T> {
        let item = self.waiting.pop_front()?;
        self.left(&item);
        Some(item)
    }

    pub(super) fn pop_back(&mut self) -> Option<T> {
        let item = self.waiting.pop_back()?;
        self.left(&item);
        Some(item)
    }

    pub(super) fn pop_last(&mut self, is_meant: impl Fn(&T) -> bool) -> Option<T> {
        let last = self.waiting.iter().rposition(is_meant)?;
        let item = self.waiting.remove(last)?;
        self.left(&item);
        Some(item)
    }

    /// Moves those of a kind out of the lane.
    pub(super) fn drain(&mut self, is_meant: impl Fn(&T) -> bool, meant: &mut Vec<T>) {
        for item in std::mem::take(&mut self.waiting) {
            if is_meant(&item) {
                self.left(&item);
                meant.push(item);
            } else {
                self.waiting.push_back(item);
            }
        }
    }

    fn left(&mut self, item: &T) {
        self.bytes -= item.bytes();
        self.cost_ns = self.cost_ns.saturating_sub(item.cost_ns());
    }

    pub(super) fn sweep(&mut self, now: Instant, expired: &mut Vec<T>, later: &mut impl FnMut(Instant)) {
        let is_over = |item: &T| item.until() <= now;
        if self.waiting.iter().any(is_over) {
            self.drain(is_over, expired);
        }
        self.waiting.iter().for_each(|item| later(item.until()));
    }
}
