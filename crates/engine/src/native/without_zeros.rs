use leat_kernels::{DenseU8, Kernels, Output, Rows, SparseF32, SparseU8};

use super::stored::Stored;
use crate::measure::quickest_ns;

/// The sizes of batches that are tried, the largest being what a plan runs at once.
const BATCHES: [usize; 3] = [16, 32, super::BLOCK];
/// Being faster by less than this is taken for chance.
const GAIN_MIN: f64 = 1.05;

/// A pruned layer without its zeros.
pub(crate) struct WithoutZeros<L> {
    pub(crate) layer: L,
    /// From so many rows on it is faster than with them.
    pub(crate) rows_min: usize,
}

impl WithoutZeros<SparseF32> {
    /// Measures both ways; gives nothing when the zeros are never worth leaving out. Both give the same numbers, so that the choice
    /// changes no answer.
    pub(crate) fn unless_slower(layer: SparseF32, dense: &Stored, kernels: Kernels) -> Option<Self> {
        let rows_min = rows_min(|rows| real_gain(&layer, dense, kernels, rows))?;
        Some(Self { layer, rows_min })
    }
}

impl WithoutZeros<SparseU8> {
    /// As for `f32`.
    pub(crate) fn unless_slower(layer: SparseU8, dense: &DenseU8, kernels: Kernels) -> Option<Self> {
        let rows_min = rows_min(|rows| integer_gain(&layer, dense, kernels, rows))?;
        Some(Self { layer, rows_min })
    }
}

/// The size of the smallest batch from which on there is something to gain.
fn rows_min(gain: impl Fn(usize) -> f64) -> Option<usize> {
    BATCHES.into_iter().rev().take_while(|&rows| gain(rows) >= GAIN_MIN).last()
}

/// How many times faster the layer is without its zeros.
fn real_gain(sparse: &SparseF32, dense: &Stored, kernels: Kernels, rows: usize) -> f64 {
    let values = vec![0.5; rows * dense.inputs()];
    let input = Rows { values: &values, stride: dense.inputs(), count: rows };
    let mut output = vec![0.0; rows * dense.stride()];
    let mut workspace = vec![0.0; sparse.workspace()];
    let with = quickest_ns(|| dense.run(kernels, input, Output::Values(&mut output)));
    let without =
        quickest_ns(|| kernels.sparse_f32(sparse, input, Output::Values(&mut output), &mut workspace));
    with / without
}

/// Likewise on integers.
fn integer_gain(sparse: &SparseU8, dense: &DenseU8, kernels: Kernels, rows: usize) -> f64 {
    let values = vec![100; rows * dense.padded_inputs()];
    let input = Rows { values: &values, stride: dense.padded_inputs(), count: rows };
    let mut output = vec![0.0; rows * dense.stride()];
    let mut workspace = vec![0; sparse.workspace().max(dense.workspace(rows))];
    let with = quickest_ns(|| kernels.dense_u8(dense, input, Output::Values(&mut output), &mut workspace));
    let without =
        quickest_ns(|| kernels.sparse_u8(sparse, input, Output::Values(&mut output), &mut workspace));
    with / without
}
