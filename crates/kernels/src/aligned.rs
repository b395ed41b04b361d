use std::ops::{Deref, DerefMut};

use leat_pauses::spans;

/// How many bytes a line of the cache holds.
const LINE: usize = 64;

/// So many values are filled in between two pauses.
const FILLED_AT_ONCE: usize = 1 << 14;

/// Values that begin where a line of the cache begins. A vector that lies across two lines costs two loads.
#[derive(Debug)]
pub struct Aligned<T> {
    /// The values, after so many others that the first one begins a line.
    storage: Vec<T>,
    start: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// As many default values.
    pub fn new(len: usize) -> Self {
        let spare = LINE.div_ceil(size_of::<T>().max(1));
        let mut storage: Vec<T> = Vec::with_capacity(len + spare);
        let start = storage.as_ptr().align_offset(LINE).min(spare);
        // New memory takes its time.
        for span in spans(start + len, FILLED_AT_ONCE) {
            storage.resize(span.end, T::default());
        }
        Self { storage, start }
    }

    /// Makes room for at least `len` values. What was there is lost when it was too small.
    pub fn ensure(&mut self, len: usize) {
        if self.len() < len {
            *self = Self::new(len);
        }
    }

    /// How much memory the values take, in bytes.
    pub fn bytes(&self) -> usize {
        self.storage.capacity() * size_of::<T>()
    }
}

/// Takes no memory.
impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self { storage: Vec::new(), start: 0 }
    }
}

/// A copy lies elsewhere, where the place of the first value has to be found anew.
impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len());
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.storage[self.start..]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.storage[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_value_begins_a_line_also_in_a_copy() {
        for len in [0, 1, 15, 1000, if cfg!(miri) { 100 } else { 100_000 }] {
            let mut values = Aligned::<f32>::new(len);
            values.iter_mut().zip((0_u8..=255).cycle()).for_each(|(value, byte)| *value = f32::from(byte));
            let copy = values.clone();
            assert_eq!(values.len(), len);
            assert_eq!(*copy, *values);
            for start in [values.as_ptr(), copy.as_ptr()] {
                assert!(len == 0 || start.addr().is_multiple_of(LINE));
            }
            assert!(Aligned::<i8>::new(len).len() == len);
        }
    }

    #[test]
    fn room_grows_and_never_shrinks() {
        let mut values = Aligned::<f32>::default();
        assert_eq!((values.len(), values.bytes()), (0, 0));
        for (needed, held) in [(10, 10), (3, 10), (40, 40)] {
            values.ensure(needed);
            assert_eq!(values.len(), held);
            assert!(values.as_ptr().addr().is_multiple_of(LINE) && values.bytes() >= held * size_of::<f32>());
        }
    }
}
