use std::ops::Range;

use leat_kernels::{Aligned, Bf16, DenseBf16, DenseF32, DenseI8, Kernels, Output, Panels, Rows};
use leat_model::{Dense, Encoding};
use leat_pauses::{pause, pieces};

use super::layer::activation;
use crate::measure::times_longer;

/// Being faster by less than this for a single row is no reason to unpack weights each time: large batches, which wait for no memory, pay
/// some hundredths for it. Where weights come from memory the gain is about two.
const GAIN_MIN: f64 = 1.5;
/// The sizes of batches for which unpacking is tried again, and how much slower it may be there before large batches get expanded
/// weights of their own.
const BATCHES: [usize; 3] = [4, 32, super::BLOCK];
/// See `BATCHES`.
const LOSS_MAX: f64 = 1.02;

/// A dense layer on rows of `f32`, its weights stored in one way or another. What it gives does not depend on the way.
pub(crate) enum Stored {
    F32(DenseF32),
    Bf16(DenseBf16),
    I8(DenseI8),
    /// Few rows wait for the weights, many for the arithmetic.
    ByRows(Box<ByRows>),
}

/// A layer stored twice.
pub(crate) struct ByRows {
    few: Stored,
    /// So many rows at most count as few.
    few_max: usize,
    many: Stored,
}

impl Stored {
    /// Packs a layer of a valid network, given what its weights stand for. Weights that the model stores in fewer bytes stay that small where reading less from memory
    /// is measured to gain more than unpacking costs; else they are expanded.
    pub(crate) fn pack(dense: &Dense, weights: &[f32], kernels: Kernels) -> Self {
        let activation = activation(dense.activation);
        let expanded = Self::F32(DenseF32::pack(weights, &dense.bias, activation));
        pause();
        let small = match &dense.weights.encoding {
            Encoding::Bf16(values) => {
                let mut weights = Vec::with_capacity(values.len());
                for piece in pieces(values) {
                    weights.extend(piece.iter().map(|value| Bf16(value.to_bits())));
                }
                Self::Bf16(DenseBf16::pack_scaled(&weights, &[1.0], &dense.bias, activation))
            }
            Encoding::Int8 { codes, scales } => {
                Self::I8(DenseI8::pack_scaled(codes, scales, &dense.bias, activation))
            }
            _ => return expanded,
        };
        if expanded.times_longer(&small, kernels, 1) < GAIN_MIN {
            return expanded;
        }
        let is_slower = |rows| small.times_longer(&expanded, kernels, rows) > LOSS_MAX;
        match BATCHES.into_iter().position(is_slower) {
            None => small,
            Some(position) => {
                let few_max = BATCHES[..position].last().copied().unwrap_or(1);
                Self::ByRows(Box::new(ByRows { few: small, few_max, many: expanded }))
            }
        }
    }

    /// Runs rows through the layer.
    pub(crate) fn run(&self, kernels: Kernels, input: Rows<'_, f32>, output: Output<'_>) {
        match self {
            Self::F32(layer) => kernels.dense_real(layer, input, output),
            Self::Bf16(layer) => kernels.dense_real(layer, input, output),
            Self::I8(layer) => kernels.dense_real(layer, input, output),
            Self::ByRows(_) => self.for_rows(input.count).run(kernels, input, output),
        }
    }

    /// Computes some panels of outputs.
    pub(crate) fn run_panels(
        &self,
        kernels: Kernels,
        range: Range<usize>,
        input: Rows<'_, f32>,
        output: Output<'_>,
    ) {
        match self {
            Self::F32(layer) => kernels.dense_real_panels(Panels { layer, range }, input, output),
            Self::Bf16(layer) => kernels.dense_real_panels(Panels { layer, range }, input, output),
            Self::I8(layer) => kernels.dense_real_panels(Panels { layer, range }, input, output),
            Self::ByRows(_) => self.for_rows(input.count).run_panels(kernels, range, input, output),
        }
    }

    /// The layer as it is stored for so many rows.
    pub(crate) fn for_rows(&self, rows: usize) -> &Self {
        match self {
            Self::ByRows(stored) if rows <= stored.few_max => &stored.few,
            Self::ByRows(stored) => &stored.many,
            once => once,
        }
    }

    /// How many panels of outputs it has.
    pub(crate) fn panels(&self) -> usize {
        match self {
            Self::F32(layer) => layer.panels(),
            Self::Bf16(layer) => layer.panels(),
            Self::I8(layer) => layer.panels(),
            Self::ByRows(stored) => stored.few.panels(),
        }
    }

    /// How many bytes of memory the weights take.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::F32(layer) => layer.bytes(),
            Self::Bf16(layer) => layer.bytes(),
            Self::I8(layer) => layer.bytes(),
            Self::ByRows(stored) => stored.few.bytes() + stored.many.bytes() + size_of::<ByRows>(),
        }
    }

    /// The length of a row that goes in.
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Self::F32(layer) => layer.inputs(),
            Self::Bf16(layer) => layer.inputs(),
            Self::I8(layer) => layer.inputs(),
            Self::ByRows(stored) => stored.few.inputs(),
        }
    }

    /// The length of a row that comes out.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::F32(layer) => layer.outputs(),
            Self::Bf16(layer) => layer.outputs(),
            Self::I8(layer) => layer.outputs(),
            Self::ByRows(stored) => stored.few.outputs(),
        }
    }

    /// The distance between the starts of two rows that come out.
    pub(crate) fn stride(&self) -> usize {
        match self {
            Self::F32(layer) => layer.stride(),
            Self::Bf16(layer) => layer.stride(),
            Self::I8(layer) => layer.stride(),
            Self::ByRows(stored) => stored.few.stride(),
        }
    }

    /// How the weights are stored, unless as `f32`, and up to how many rows they are read so when there is a limit.
    pub(crate) fn compact(&self) -> Option<(&'static str, Option<usize>)> {
        match self {
            Self::F32(_) => None,
            Self::Bf16(_) => Some(("bf16", None)),
            Self::I8(_) => Some(("int8", None)),
            Self::ByRows(stored) => stored.few.compact().map(|(name, _)| (name, Some(stored.few_max))),
        }
    }

    /// How many times longer than `other`, which stores the same layer, it takes for a batch.
    fn times_longer(&self, other: &Self, kernels: Kernels, rows: usize) -> f64 {
        let values = vec![0.5; rows * self.inputs()];
        let input = Rows { values: &values, stride: self.inputs(), count: rows };
        let [mut one, mut two] = [(); 2].map(|()| Aligned::new(rows * self.stride()));
        times_longer(
            || self.run(kernels, input, Output::Values(&mut one)),
            || other.run(kernels, input, Output::Values(&mut two)),
        )
    }
}

#[cfg(test)]
mod tests {
    use leat_kernels::Activation;

    use super::*;

    fn run(stored: &Stored, kernels: Kernels, rows: usize) -> Vec<f32> {
        let values: Vec<f32> = (0..rows * stored.inputs()).map(|at| (at % 13) as f32 - 6.0).collect();
        let mut output = vec![0.0; rows * stored.stride()];
        let input = Rows { values: &values, stride: stored.inputs(), count: rows };
        stored.run(kernels, input, Output::Values(&mut output));
        output
    }

    #[test]
    fn a_layer_that_is_stored_twice_gives_the_same_for_few_rows_and_for_many() {
        let codes: Vec<i8> = (0..20 * 30).map(|at| (at % 251 - 125) as i8).collect();
        let weights: Vec<f32> = codes.iter().map(|&code| f32::from(code) * 0.25).collect();
        let (bias, activation) = (vec![0.5; 30], Activation::Relu);
        let few = || Stored::I8(DenseI8::pack_scaled(&codes, &[0.25], &bias, activation));
        let many = || Stored::F32(DenseF32::pack(&weights, &bias, activation));
        let twice = Stored::ByRows(Box::new(ByRows { few: few(), few_max: 2, many: many() }));
        assert_eq!(twice.compact(), Some(("int8", Some(2))));
        for kernels in Kernels::available() {
            for rows in [1, 2, 3, if cfg!(miri) { 7 } else { 40 }] {
                let given = run(&twice, kernels, rows);
                assert_eq!(given, run(&few(), kernels, rows), "{rows} rows");
                assert_eq!(given, run(&many(), kernels, rows), "{rows} rows");
            }
        }
    }
}
