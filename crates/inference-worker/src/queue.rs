//! The bounded queue between the tasks that receive requests and the threads that answer them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A queue that never holds more than its capacity. Many put, many take.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        let waiting = VecDeque::with_capacity(capacity.min(4096));
        Self { state: Mutex::new(State { waiting, is_closed: false }), filled: Condvar::new(), capacity }
    }

    /// Moves as many of `arrived` into the queue as fit, first ones first. What is left in `arrived` did not fit.
    pub(crate) fn put(&self, arrived: &mut Vec<T>) {
        let mut state = self.lock();
        let free = if state.is_closed { 0 } else { self.capacity.saturating_sub(state.waiting.len()) };
        let fitting = free.min(arrived.len());
        state.waiting.extend(arrived.drain(..fitting));
        drop(state);
        if fitting > 1 {
            self.filled.notify_all();
        } else if fitting == 1 {
            self.filled.notify_one();
        }
    }

    /// Waits for something, then moves what is ready into `taken`, at most `count_max`. Gives false when the queue is
    /// closed and empty: nothing will ever come again.
    pub(crate) fn take(&self, taken: &mut Vec<T>, count_max: usize) -> bool {
        let mut state = self.lock();
        while state.waiting.is_empty() {
            if state.is_closed {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.waiting.len().min(count_max);
        taken.extend(state.waiting.drain(..count));
        true
    }

    /// Moves further items into `taken` until it holds `count_max`, one that cannot wait is among them, the time has come, or
    /// the queue is closed.
    pub(crate) fn take_until(
        &self,
        taken: &mut Vec<T>,
        count_max: usize,
        until: Instant,
        can_wait: impl Fn(&T) -> bool,
    ) {
        let mut state = self.lock();
        loop {
            let (before, room) = (taken.len(), count_max.saturating_sub(taken.len()));
            let count = state.waiting.len().min(room);
            taken.extend(state.waiting.drain(..count));
            if !taken.iter().skip(before).all(&can_wait) {
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            if taken.len() >= count_max || left.is_zero() || state.is_closed {
                return;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes nothing more in. What waits can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// How many may wait.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_does_not_fit_stays_with_who_puts_it() {
        let queue = Queue::new(3);
        let mut arrived = vec![1, 2, 3, 4, 5];
        queue.put(&mut arrived);
        assert_eq!((arrived, queue.len()), (vec![4, 5], 3));
    }

    #[test]
    fn gives_what_is_ready_in_order_up_to_the_limit() {
        let queue = Queue::new(8);
        queue.put(&mut vec![1, 2, 3]);
        let mut taken = Vec::new();
        assert!(queue.take(&mut taken, 2));
        assert_eq!(taken, [1, 2]);
        assert!(queue.take(&mut taken, 2));
        assert_eq!(taken, [1, 2, 3]);
    }

    #[test]
    fn a_closed_queue_gives_what_it_holds_and_then_ends() {
        let queue = Queue::new(8);
        queue.put(&mut vec![1]);
        queue.close();
        let mut late = vec![2];
        queue.put(&mut late);
        assert_eq!(late, [2]);
        let mut taken = Vec::new();
        assert!(queue.take(&mut taken, 8));
        assert!(!queue.take(&mut taken, 8));
        assert_eq!(taken, [1]);
    }

    #[test]
    fn closing_wakes_who_waits() {
        let queue = Arc::new(Queue::<u8>::new(8));
        let waiting = std::thread::spawn({
            let queue = queue.clone();
            move || queue.take(&mut Vec::new(), 1)
        });
        queue.close();
        assert!(!waiting.join().unwrap());
    }

    #[test]
    fn waiting_for_more_ends_when_there_is_enough_or_time_is_up() {
        let queue = Queue::new(8);
        queue.put(&mut vec![1, 2, 3]);
        let mut taken = Vec::new();
        queue.take_until(&mut taken, 2, Instant::now() + Duration::from_secs(3600), |_| true);
        assert_eq!(taken, [1, 2]);
        queue.take_until(&mut taken, 9, Instant::now() + Duration::from_millis(5), |_| true);
        assert_eq!(taken, [1, 2, 3]);
    }

    #[test]
    fn waiting_for_more_ends_with_one_that_cannot_wait() {
        let queue = Queue::new(8);
        queue.put(&mut vec![1, 2, 30]);
        let mut taken = Vec::new();
        queue.take_until(&mut taken, 8, Instant::now() + Duration::from_secs(3600), |number| *number < 10);
        assert_eq!(taken, [1, 2, 30]);
    }
}
