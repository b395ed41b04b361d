use crate::Quantization;

/// A block of rows: row `i` starts at `i * stride`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    /// The values of all rows.
    pub values: &'a [T],
    /// The distance between the starts of two rows.
    pub stride: usize,
    /// How many rows there are.
    pub count: usize,
}

impl<'a, T> Rows<'a, T> {
    /// Row `index`, `width` values of it.
    pub(crate) fn row(&self, index: usize, width: usize) -> &'a [T] {
        &self.values[index * self.stride..][..width]
    }

    /// Where each of `ROWS` rows from `first` on begins; every one holds `width` values.
    #[inline(always)]
    pub(crate) fn starts<const ROWS: usize>(&self, first: usize, width: usize) -> [*const T; ROWS] {
        let mut starts = [std::ptr::null(); ROWS];
        for (index, start) in starts.iter_mut().enumerate() {
            *start = self.row(first + index, width).as_ptr();
        }
        starts
    }

    /// Whether each row holds at least `width` values.
    pub(crate) fn holds(&self, width: usize) -> bool {
        // The last row may end before the stride does.
        let has_all = self.count.checked_sub(1).is_none_or(|before| {
            let rest = self.values.len().checked_sub(width);
            rest.is_some_and(|rest| fits(before, self.stride, rest))
        });
        self.stride >= width && has_all
    }
}

/// Whether `len` values hold `count` rows of `stride` values. A product that is too large for `usize` is too large for them.
pub(crate) fn fits(count: usize, stride: usize, len: usize) -> bool {
    count.checked_mul(stride).is_some_and(|needed| needed <= len)
}

/// Where a layer writes its rows. Their stride is the layer's `stride()`; what lies past the layer's outputs in a row is padding.
#[derive(Debug)]
pub enum Output<'a> {
    /// Real numbers.
    Values(&'a mut [f32]),
    /// The same numbers as codes for an integer layer that follows.
    Codes(&'a mut [u8], Quantization),
}

impl Output<'_> {
    /// The same place, for a part of the rows.
    pub fn reborrow(&mut self) -> Output<'_> {
        self.skip(0)
    }

    /// What comes after the first `len` values or codes.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn skip(&mut self, len: usize) -> Output<'_> {
        match self {
            Output::Values(values) => Output::Values(&mut values[len..]),
            Output::Codes(codes, quantization) => Output::Codes(&mut codes[len..], *quantization),
        }
    }

    /// Whether there is a place for `count` rows of `stride` values.
    pub(crate) fn holds(&self, count: usize, stride: usize) -> bool {
        let len = match self {
            Output::Values(values) => values.len(),
            Output::Codes(codes, _) => codes.len(),
        };
        fits(count, stride, len)
    }
}
