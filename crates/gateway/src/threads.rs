//! The threads that carry connections of clients, and how many each of them has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The threads, by what their connections are answered with. Clones share the counts.
#[derive(Debug)]
pub(crate) struct Threads<T> {
    all: Arc<[Thread<T>]>,
    turn: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Thread<T> {
    carried: T,
    open: Arc<AtomicUsize>,
}

/// One connection on its thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl<T: Clone> Threads<T> {
    pub(crate) fn new(all: impl IntoIterator<Item = T>) -> Self {
        let thread = |carried| Thread { carried, open: Arc::new(AtomicUsize::new(0)) };
        Self { all: all.into_iter().map(thread).collect(), turn: Arc::new(AtomicUsize::new(0)) }
    }

    /// A place on the thread with the fewest connections, on equal ones in turn. None when there is no thread.
    pub(crate) fn place(&self) -> Option<(T, Place)> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        let (before, from) = self.all.split_at_checked(turn)?;
        let in_turn = from.iter().chain(before);
        let thread = in_turn.min_by_key(|thread| thread.open.load(Ordering::Relaxed))?;
        thread.open.fetch_add(1, Ordering::Relaxed);
        Some((thread.carried.clone(), Place(thread.open.clone())))
    }
}

impl<T> Clone for Threads<T> {
    fn clone(&self) -> Self {
        Self { all: self.all.clone(), turn: self.turn.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_with_the_fewest_connections_is_next() {
        let threads = Threads::new([0, 1, 2]);
        let mut places: Vec<_> = (0..3).map(|_| threads.place().unwrap()).collect();
        places.extend((0..3).map(|_| threads.clone().place().unwrap()));
        let carried: Vec<_> = places.iter().map(|(thread, _)| *thread).collect();
        assert_eq!(carried, [0, 1, 2, 0, 1, 2]);
        places.retain(|(thread, _)| *thread != 1);
        let next: Vec<_> = (0..2).map(|_| threads.place().unwrap()).collect();
        assert!(next.iter().all(|(thread, _)| *thread == 1));
        assert!(Threads::<u8>::new([]).place().is_none());
    }
}
