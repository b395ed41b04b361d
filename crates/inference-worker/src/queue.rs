//! The bounded queue between the tasks that receive requests and the threads that answer them.
//!
//! What is urgent is taken first, and when there is no room it pushes out what came last of what is less urgent. The queue also
//! knows what is being worked on, so that it can say how long a request would wait and whose time is over.

mod backlog;
mod lane;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use leat_contract::Priority;

use crate::claim::Claim;

use lane::Lane;

pub(crate) use backlog::Backlog;

/// How much less urgent work may share a batch with something urgent, about, in nanoseconds: all answers of a batch come when it ends.
const SHARED_NS_MAX: u64 = 1_000_000;
const LANES: usize = Priority::ALL.len();

/// What the queue must know of what waits in it.
pub(crate) trait Queued {
    /// How urgent it is.
    fn priority(&self) -> Priority;
    /// The memory it holds on to.
    fn bytes(&self) -> usize;
    /// How long a thread will be busy with it, about, in nanoseconds.
    fn cost_ns(&self) -> u64;
    /// Until when it may wait.
    fn until(&self) -> Instant;
    /// The right to answer it, when it has a deadline.
    fn claim(&self) -> Option<&Arc<Claim>>;
}

/// What may wait at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// By how much there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// A queue that never holds more than its capacity. Many put, a fixed number of threads take.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
    capacity: Capacity,
}

#[derive(Debug)]
struct State<T> {
    /// Waits for a thread, by priority.
    lanes: [Lane<T>; LANES],
    /// Waits for something else, by priority.
    parked: [Lane<T>; LANES],
    in_work: Vec<InWork>,
    /// When somebody will look for what is over; none when nobody will.
    alarm: Option<Instant>,
    is_closed: bool,
}

/// What one thread took last.
#[derive(Debug, Default)]
struct InWork {
    cost_ns: u64,
    claims: Vec<Arc<Claim>>,
}

/// What was left behind though there was room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

/// How many items end a wait for more, and when it ends without them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enough {
    pub(crate) count: usize,
    pub(crate) until: Instant,
}

/// What is over.
#[derive(Debug)]
pub(crate) struct Swept<T> {
    /// Waited too long; no longer in the queue.
    pub(crate) expired: Vec<T>,
    /// Still worked on, but the caller no longer waits. Whoever sweeps has the right to answer.
    pub(crate) late: Vec<Arc<Claim>>,
    /// When to sweep again.
    pub(crate) next: Option<Instant>,
}

impl<T: Queued> Queue<T> {
    /// A queue from which so many threads take.
    pub(crate) fn new(capacity: Capacity, threads: usize) -> Self {
        let state = State {
            lanes: Default::default(),
            parked: Default::default(),
            in_work: (0..threads).map(|_| InWork::default()).collect(),
            alarm: None,
            is_closed: false,
        };
        Self { state: Mutex::new(state), filled: Condvar::new(), capacity }
    }

    /// Moves `arrived` into the queue as far as there is room. What did not fit and what was pushed out is added to `refused`.
    /// Gives whether somebody must [`Queue::sweep`] sooner than was known.
    pub(crate) fn put(&self, arrived: &mut Vec<T>, refused: &mut Vec<T>) -> bool {
        let (mut state, mut fitting) = (self.lock(), 0_usize);
        let mut first = None;
        for item in arrived.drain(..) {
            if state.is_closed || !state.make_room(&item, self.capacity, refused) {
                refused.push(item);
                continue;
            }
            let until = item.until();
            first = Some(first.map_or(until, |first: Instant| first.min(until)));
            state.push(item);
            fitting += 1;
        }
        let is_sooner = first.is_some_and(|first| state.alarm.is_none_or(|alarm| first < alarm));
        drop(state);
        if fitting > 1 {
            self.filled.notify_all();
        } else if fitting == 1 {
            self.filled.notify_one();
        }
        is_sooner
    }

    /// Takes out what came last of the less urgent items of a kind, at least so much, or nothing when there is not so much.
    pub(crate) fn push_out(&self, than: Priority, excess: Excess, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
        let mut state = self.lock();
        let less_urgent =
            state.less_urgent(than).flat_map(|lane| &lane.waiting).filter(|item| is_meant(item));
        let (count, bytes) =
            less_urgent.fold((0, 0), |(count, bytes), item| (count + 1, bytes + item.bytes()));
        if count < excess.count || bytes < excess.bytes {
            return Vec::new();
        }
        let (mut pushed_out, mut bytes) = (Vec::new(), 0);
        for lane in state.less_urgent(than) {
            while (pushed_out.len() < excess.count || bytes < excess.bytes)
                && let Some(item) = lane.pop_last(&is_meant)
            {
                bytes += item.bytes();
                pushed_out.push(item);
            }
        }
        pushed_out
    }

    /// Ends what the thread had taken before, waits for something, then moves what is ready into `taken`, at most `count_max`.
    /// Gives false when the queue is closed and empty: nothing will ever come again.
    pub(crate) fn take(&self, thread: usize, taken: &mut Vec<T>, count_max: usize) -> bool {
        let mut state = self.lock();
        state.finish(thread);
        while state.is_empty() {
            if state.is_closed {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.take(thread, taken, count_max);
        true
    }

    /// Moves further items into `taken` until there are enough, one that cannot wait is among them, or the queue is closed.
    pub(crate) fn take_until(
        &self,
        thread: usize,
        taken: &mut Vec<T>,
        enough: Enough,
        can_wait: impl Fn(&T) -> bool,
    ) {
        let mut state = self.lock();
        loop {
            let before = taken.len();
            if state.take(thread, taken, enough.count.saturating_sub(before)) == Left::Something {
                // This thread was perhaps woken for it.
                self.filled.notify_one();
                return;
            }
            if !taken.iter().skip(before).all(&can_wait) {
                return;
            }
            let left = enough.until.saturating_duration_since(Instant::now());
            if taken.len() >= enough.count || left.is_zero() || state.is_closed {
                return;
            }
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes out what has waited too long by now, and finds what is worked on for nobody.
    pub(crate) fn sweep(&self, now: Instant) -> Swept<T> {
        let mut state = self.lock();
        let mut swept = Swept { expired: Vec::new(), late: Vec::new(), next: None };
        let mut next: Option<Instant> = None;
        let mut later = |until: Instant| next = Some(next.map_or(until, |next| next.min(until)));
        let state = &mut *state;
        for lane in state.lanes.iter_mut().chain(&mut state.parked) {
            lane.sweep(now, &mut swept.expired, &mut later);
        }
        for in_work in &mut state.in_work {
            in_work.claims.retain(|claim| !claim.is_taken());
            for claim in &in_work.claims {
                if claim.due > now {
                    later(claim.due);
                } else if claim.take() {
                    swept.late.push(claim.clone());
                }
            }
        }
        swept.next = next;
        state.alarm = next;
        swept
    }

    /// Keeps an item that was taken until [`Queue::unpark`]. It counts as waiting and may be over like any other. Gives whether
    /// somebody must sweep sooner than was known.
    pub(crate) fn park(&self, item: T) -> bool {
        let mut state = self.lock();
        let until = item.until();
        if let Some(lane) = state.parked.get_mut(item.priority() as usize) {
            lane.push(item);
        }
        state.alarm.is_none_or(|alarm| until < alarm)
    }

    /// Gives the parked items of a kind, the most urgent first.
    pub(crate) fn unpark(&self, is_meant: impl Fn(&T) -> bool) -> Vec<T> {
        let mut meant = Vec::new();
        self.lock().parked.iter_mut().for_each(|lane| lane.drain(&is_meant, &mut meant));
        meant
    }

    /// How long the threads are busy with what is there.
    pub(crate) fn backlog(&self) -> Backlog {
        let state = self.lock();
        let in_work_ns = state.in_work.iter().fold(0_u64, |sum, one| sum.saturating_add(one.cost_ns));
        let lane = |lane: &Lane<T>| (lane.waiting.len(), lane.cost_ns);
        let parked = state.parked.each_ref().map(|lane| lane.waiting.len());
        Backlog::new(in_work_ns, state.lanes.each_ref().map(lane), parked)
    }

    /// Takes nothing more in. What waits can still be taken.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.filled.notify_all();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// What may wait.
    pub(crate) fn capacity(&self) -> Capacity {
        self.capacity
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Queued> State<T> {
    fn len(&self) -> usize {
        self.lanes.iter().chain(&self.parked).map(|lane| lane.waiting.len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty())
    }

    /// Whether there is room for an item, if need be after pushing out what is less urgent.
    fn make_room(&mut self, item: &T, capacity: Capacity, pushed_out: &mut Vec<T>) -> bool {
        let (mut count, mut bytes) = (self.len() + 1, item.bytes());
        bytes += self.lanes.iter().chain(&self.parked).map(|lane| lane.bytes).sum::<usize>();
        if count <= capacity.count && bytes <= capacity.bytes {
            return true;
        }
        let (lower_count, lower_bytes) = self
            .less_urgent(item.priority())
            .fold((0, 0), |(count, bytes), lane| (count + lane.waiting.len(), bytes + lane.bytes));
        if count - lower_count > capacity.count || bytes - lower_bytes > capacity.bytes {
            return false;
        }
        for lane in self.less_urgent(item.priority()) {
            while count > capacity.count || bytes > capacity.bytes {
                let Some(last) = lane.pop_back() else { break };
                count -= 1;
                bytes -= last.bytes();
                pushed_out.push(last);
            }
        }
        true
    }

    /// What must give way to a priority, the least urgent first; of one priority first what waits for something else than a thread.
    fn less_urgent(&mut self, than: Priority) -> impl Iterator<Item = &mut Lane<T>> {
        let from = than as usize + 1;
        let pairs = self.lanes.iter_mut().zip(&mut self.parked).skip(from).rev();
        pairs.flat_map(|(lane, parked)| [parked, lane])
    }

    fn push(&mut self, item: T) {
        if let Some(lane) = self.lanes.get_mut(item.priority() as usize) {
            lane.push(item);
        }
    }

    /// Moves what is ready, the most urgent first, unless it is less urgent than the first and would hold that up.
    fn take(&mut self, thread: usize, taken: &mut Vec<T>, count_max: usize) -> Left {
        let Some(in_work) = self.in_work.get_mut(thread) else { return Left::Nothing };
        let is_less_urgent = |first: &T, item: &T| (first.priority() as usize) < item.priority() as usize;
        let before = taken.first().map_or(0, |first| {
            taken
                .iter()
                .filter(|item| is_less_urgent(first, item))
                .map(T::cost_ns)
                .fold(0, u64::saturating_add)
        });
        let (mut left, mut shared_ns) = (count_max, before);
        for lane in &mut self.lanes {
            while left > 0
                && let Some(item) = lane.waiting.front()
            {
                if taken.first().is_some_and(|first| is_less_urgent(first, item)) {
                    shared_ns = shared_ns.saturating_add(item.cost_ns());
                    if shared_ns > SHARED_NS_MAX {
                        return Left::Something;
                    }
                }
                let Some(item) = lane.pop_front() else { break };
                in_work.cost_ns = in_work.cost_ns.saturating_add(item.cost_ns());
                in_work.claims.extend(item.claim().cloned());
                taken.push(item);
                left -= 1;
            }
        }
        Left::Nothing
    }

    fn finish(&mut self, thread: usize) {
        if let Some(in_work) = self.in_work.get_mut(thread) {
            in_work.cost_ns = 0;
            in_work.claims.clear();
        }
    }
}

#[cfg(test)]
mod tests;
