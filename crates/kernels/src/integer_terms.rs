use std::array::from_fn;

use crate::panel::{CODES_PER_STEP, PANEL, of_panel, pad_to, padded, paused_rows};
use crate::{DenseU8Parts, Kernels};

/// What turns the exact sums of an integer layer into real numbers. Each list is padded to whole panels.
#[derive(Clone, Debug)]
pub(crate) struct IntegerTerms {
    /// `(zero_point - code_offset) · Σ c[j, k]`.
    correction: Vec<i32>,
    /// `input_scale · scale[j]`.
    multiplier: Vec<f32>,
    bias: Vec<f32>,
}

impl IntegerTerms {
    /// The terms of a layer whose lengths were checked.
    pub(crate) fn of(parts: &DenseU8Parts<'_>, layout: IntegerLayout) -> Self {
        let outputs = parts.bias.len();
        let scales = parts.scales.iter().cycle().take(outputs);
        let multiplier: Vec<f32> = scales.map(|scale| parts.input.scale * scale).collect();
        let zero_point = i32::from(parts.input.zero_point) - i32::from(layout.code_offset);
        let sum = |row: &[i8]| row.iter().map(|&code| i32::from(code)).sum::<i32>();
        let rows = paused_rows(parts.codes, parts.inputs());
        let correction: Vec<i32> = rows.map(|row| zero_point * sum(row)).collect();
        Self {
            correction: pad_to(&correction, padded(outputs)),
            multiplier: pad_to(&multiplier, padded(outputs)),
            bias: pad_to(parts.bias, padded(outputs)),
        }
    }

    /// How many bytes the terms take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.correction) + size_of_val(&*self.multiplier) + size_of_val(&*self.bias)
    }

    /// How many outputs there are, padding included.
    pub(crate) fn len(&self) -> usize {
        self.bias.len()
    }

    /// The terms of one panel.
    pub(crate) fn panel(&self, index: usize) -> Terms<'_> {
        Terms {
            correction: of_panel(&self.correction, index),
            multiplier: of_panel(&self.multiplier, index),
            bias: of_panel(&self.bias, index),
        }
    }
}

/// What turns the exact sums of one panel into real numbers.
pub(crate) struct Terms<'a> {
    pub(crate) correction: &'a [i32; PANEL],
    pub(crate) multiplier: &'a [f32; PANEL],
    pub(crate) bias: &'a [f32; PANEL],
}

impl Terms<'_> {
    /// The real number of the sum in a lane.
    pub(crate) fn real(&self, sum: i32, lane: usize) -> f32 {
        ((sum - self.correction[lane]) as f32).mul_add(self.multiplier[lane], self.bias[lane])
    }
}

/// How a set of kernels wants an integer layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntegerLayout {
    /// How many inputs lie side by side for each output.
    pub(crate) group: usize,
    /// What the kernel takes off every input code.
    pub(crate) code_offset: u8,
    /// Whether the kernel relies on [`pairs_fit`].
    pub(crate) pairs_fit: bool,
    /// How many inputs a kernel reads at once, and so past the last weight up to a whole multiple of them.
    pub(crate) step: usize,
    /// From so many rows on, a kernel first widens their codes to 16 bits. Where there is no number, it never does.
    pub(crate) wide_rows_min: Option<usize>,
}

/// What the definition wants.
impl Default for IntegerLayout {
    fn default() -> Self {
        Self { group: 1, code_offset: 0, pairs_fit: false, step: CODES_PER_STEP, wide_rows_min: None }
    }
}

impl IntegerLayout {
    /// How many inputs a block of a sparse layer has. Kernels that multiply pairs take two inputs as 16-bit numbers, all others four.
    pub(crate) fn block(self) -> usize {
        if self.group == 2 { 2 } else { CODES_PER_STEP }
    }

    /// At most a block of weights as the kernels of a sparse layer take it.
    pub(crate) fn block_of_weights(self, codes: &[i8]) -> [u8; CODES_PER_STEP] {
        let code = |index: usize| codes.get(index).copied().unwrap_or_default();
        if self.block() == CODES_PER_STEP {
            return from_fn(|index| code(index).cast_unsigned());
        }
        let [[a, b], [c, d]] = [0, 1].map(|index| i16::from(code(index)).to_le_bytes());
        [a, b, c, d]
    }

    pub(crate) fn check(self, kernels: Kernels) {
        let is_theirs = self == kernels.integer_layout() || Some(self) == kernels.fitting_layout();
        assert!(is_theirs, "the layer was packed for other kernels");
    }
}

/// The most that neighbouring weights of one sign may sum to so that their products with codes fit 16 bits: `255 · 128 < 2¹⁵`.
pub(crate) const PAIR_MAX: i32 = 128;

/// Whether no sum of the products of two neighbouring weights, counted by twos in each row of `inputs` codes, leaves 16 bits, whatever
/// the input codes are.
pub(crate) fn pairs_fit(codes: &[i8], inputs: usize) -> bool {
    let fits = |pair: &[i8]| {
        let sum = |sign: i32| pair.iter().map(|&code| (sign * i32::from(code)).max(0)).sum::<i32>();
        sum(1).max(sum(-1)) <= PAIR_MAX
    };
    paused_rows(codes, inputs).all(|row| row.chunks(2).all(fits))
}
