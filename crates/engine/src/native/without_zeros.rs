use leat_kernels::{Kernels, Output, Rows, SparseF32};

use super::stored::Stored;
use crate::measure::quickest_ns;

/// The sizes of batches that are tried, the largest being what a plan runs at once.
const BATCHES: [usize; 3] = [16, 32, super::BLOCK];
/// Being faster by less than this is taken for chance.
const GAIN_MIN: f64 = 1.05;

/// A pruned layer without its zeros.
pub(crate) struct WithoutZeros {
    pub(crate) layer: SparseF32,
    /// From so many rows on it is faster than with them.
    pub(crate) rows_min: usize,
}

impl WithoutZeros {
    /// Measures both ways; gives nothing when the zeros are never worth leaving out. Both give the same numbers, so that the choice
    /// changes no answer.
    pub(crate) fn unless_slower(layer: SparseF32, dense: &Stored, kernels: Kernels) -> Option<Self> {
        let mut rows_min = None;
        for rows in BATCHES.into_iter().rev() {
            if gain(&layer, dense, kernels, rows) < GAIN_MIN {
                break;
            }
            rows_min = Some(rows);
        }
        rows_min.map(|rows_min| Self { layer, rows_min })
    }
}

/// How many times faster the layer is without its zeros.
fn gain(sparse: &SparseF32, dense: &Stored, kernels: Kernels, rows: usize) -> f64 {
    let values = vec![0.5; rows * dense.inputs()];
    let input = Rows { values: &values, stride: dense.inputs(), count: rows };
    let mut output = vec![0.0; rows * dense.stride()];
    let mut workspace = vec![0.0; sparse.workspace()];
    let with = quickest_ns(|| dense.run(kernels, input, Output::Values(&mut output)));
    let without =
        quickest_ns(|| kernels.sparse_f32(sparse, input, Output::Values(&mut output), &mut workspace));
    with / without
}
