//! Places in long work at which a thread that has time lets others go first.
//!
//! Whoever goes over much memory calls [`pause`] after each piece that takes some ten microseconds, or takes its pieces from [`spans`] and
//! [`pieces`], which do so in between. Nothing happens then, unless the thread works [`with_pauses`]: what a pause is, and how often there
//! really is one, is decided there. So reading, checking, packing and measuring a model need not know for whom they do it.

use std::cell::RefCell;
use std::ops::Range;

/// Bytes of a piece: enough for a call in between not to count.
const PIECE: usize = 1 << 16;

thread_local! {
    static PAUSE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Does something during which each [`pause`] of the calling thread calls `pause`. Pauses in `pause` itself are none.
pub fn with_pauses<T>(pause: impl Fn() + 'static, work: impl FnOnce() -> T) -> T {
    let _restored = Restored(PAUSE.replace(Some(Box::new(pause))));
    work()
}

/// A place at which the thread may let others go first. It may be gone for long: nothing is locked meanwhile.
#[inline]
pub fn pause() {
    // While it runs it is not there, and neither is it when the thread ends.
    let restored = Restored(PAUSE.try_with(|pause| pause.take()).unwrap_or(None));
    if let Some(pause) = &restored.0 {
        pause();
    }
}

/// The numbers below `count` in spans of at most `longest`, with a pause between two.
///
/// # Panics
/// When `longest` is zero.
pub fn spans(count: usize, longest: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(longest).enumerate().map(move |(before, start)| {
        if before > 0 {
            pause();
        }
        start..count.min(start.saturating_add(longest))
    })
}

/// The values in pieces of at most 64 KiB, with a pause between two.
pub fn pieces<T>(values: &[T]) -> impl Iterator<Item = &[T]> {
    spans(values.len(), (PIECE / size_of::<T>().max(1)).max(1)).map(|span| &values[span])
}

/// Puts back what a pause was before, also after a panic.
struct Restored(Option<Box<dyn Fn()>>);

impl Drop for Restored {
    fn drop(&mut self) {
        let former = self.0.take();
        // A thread that ends has no more pauses.
        let _ = PAUSE.try_with(|pause| pause.replace(former));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use super::*;

    /// How many pauses there are in `work`.
    fn counted(work: impl FnOnce()) -> usize {
        let count = Rc::new(Cell::new(0));
        let counting = count.clone();
        with_pauses(move || counting.set(counting.get() + 1), work);
        count.get()
    }

    #[test]
    fn pauses_are_those_of_the_work_around_them() {
        pause();
        let mut inner = 0;
        let outer = counted(|| {
            pause();
            inner = counted(|| (0..3).for_each(|_| pause()));
            pause();
        });
        pause();
        assert_eq!((outer, inner), (2, 3));
    }

    #[test]
    fn a_pause_has_no_pauses_and_a_panic_leaves_none_behind() {
        let count = counted(|| with_pauses(pause, pause));
        assert_eq!(count, 0);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            with_pauses(|| panic!("a pause that must not outlive its work"), pause);
        }));
        assert!(panicked.is_err());
        pause();
    }

    #[test]
    fn other_threads_have_none() {
        let count =
            counted(|| std::thread::scope(|scope| scope.spawn(pause).join().expect("it does not panic")));
        assert_eq!(count, 0);
    }

    #[test]
    fn spans_are_everything_once_with_pauses_between_them() {
        for (count, starts) in [(0, vec![]), (4, vec![0]), (9, vec![0, 4, 8])] {
            let expected: Vec<_> = starts.iter().map(|&start| start..count.min(start + 4)).collect();
            let pauses = counted(|| assert_eq!(spans(count, 4).collect::<Vec<_>>(), expected));
            assert_eq!(pauses, starts.len().saturating_sub(1));
        }
    }

    #[test]
    fn pieces_hold_all_values_in_order() {
        let values: Vec<u64> = (0..20_000).collect();
        let pauses = counted(|| assert_eq!(pieces(&values).collect::<Vec<_>>().concat(), values));
        assert_eq!(pauses, 2);
        assert_eq!(pieces(&[(); 3]).map(<[()]>::len).sum::<usize>(), 3);
    }
}
