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

    /// Whether each row holds at least `width` values.
    pub(crate) fn holds(&self, width: usize) -> bool {
        let needed = self.count.checked_sub(1).map_or(0, |last| last * self.stride + width);
        self.stride >= width && self.values.len() >= needed
    }
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
    /// What comes after the first `len` values or codes.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn skip(&mut self, len: usize) -> Output<'_> {
        match self {
            Output::Values(values) => Output::Values(&mut values[len..]),
            Output::Codes(codes, quantization) => Output::Codes(&mut codes[len..], *quantization),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Output::Values(values) => values.len(),
            Output::Codes(codes, _) => codes.len(),
        }
    }
}
