use leat_pauses::pieces;

use crate::{Error, limits};

/// One bit per value, bit `i` in byte `i / 8` at position `i % 8`; unused bits of the last byte are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// How many values it speaks about.
    pub len: usize,
    /// `ceil(len / 8)` bytes.
    pub bits: Vec<u8>,
}

impl Mask {
    /// The mask of those `values` that are not zero.
    pub fn from_values(values: &[f32]) -> Self {
        let mut mask = Self { len: values.len(), bits: vec![0; values.len().div_ceil(8)] };
        for (index, value) in values.iter().enumerate() {
            mask.set(index, *value != 0.0);
        }
        mask
    }

    /// A mask of `len` bits that are all set.
    pub fn filled(len: usize) -> Self {
        let mut bits = vec![u8::MAX; len.div_ceil(8)];
        if let (Some(last), used @ 1..) = (bits.last_mut(), len % 8) {
            *last = (1 << used) - 1;
        }
        Self { len, bits }
    }

    /// Bit `index`; false beyond the end.
    pub fn get(&self, index: usize) -> bool {
        let is_within = index < self.len;
        is_within && self.bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Sets bit `index` to `value`. Nothing happens beyond the end.
    pub fn set(&mut self, index: usize, value: bool) {
        if index >= self.len {
            return;
        }
        if let Some(byte) = self.bits.get_mut(index / 8) {
            let bit = 1 << (index % 8);
            *byte = if value { *byte | bit } else { *byte & !bit };
        }
    }

    /// How many bits are set.
    pub fn count_ones(&self) -> usize {
        pieces(&self.bits).flatten().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Checks that the bytes fit the length and that unused bits are zero.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        limits::length("bits", self.bits.len(), self.len.div_ceil(8))?;
        super::packing::check_unused_bits("bits", &self.bits, self.len, 1)
    }
}
