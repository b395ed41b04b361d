use std::hint::black_box;

use leat_kernels::{Aligned, DenseU8, Kernels, Output, PANEL, Rows, SparseF32, SparseU8};

use super::stored::Stored;
use crate::measure::times_longer;

/// The sizes of batches that are tried, the largest being what a plan runs at once.
const BATCHES: [usize; 3] = [16, 32, super::BLOCK];
/// How many rows are tried as what is left over when vectors of rows are full.
const RESTS: [usize; 4] = [2, 4, 8, 12];
/// Being faster by less than this is taken for chance.
const GAIN_MIN: f64 = 1.05;

/// A pruned layer without its zeros.
pub(crate) struct WithoutZeros<L> {
    pub(crate) layer: L,
    pub(crate) limits: Limits,
}

/// When a layer is run without its zeros. Both ways give the same numbers, so that no answer depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// From so many rows on it is faster than with them.
    pub(crate) rows_min: usize,
    /// Rows that fill no vector cost as much as those that do. If they are fewer than this, they are run with the zeros.
    pub(crate) rest_min: usize,
}

impl WithoutZeros<SparseF32> {
    /// Measures both ways; gives nothing when the zeros are never worth leaving out.
    pub(crate) fn unless_slower(layer: SparseF32, dense: &Stored, kernels: Kernels) -> Option<Self> {
        let limits = Limits::measured(|rows| real_gain(&layer, dense, kernels, rows))?;
        Some(Self { layer, limits })
    }
}

impl WithoutZeros<SparseU8> {
    /// As for `f32`.
    pub(crate) fn unless_slower(layer: SparseU8, dense: &DenseU8, kernels: Kernels) -> Option<Self> {
        let limits = Limits::measured(|rows| integer_gain(&layer, dense, kernels, rows))?;
        Some(Self { layer, limits })
    }
}

impl Limits {
    /// From how many times faster so many rows are without zeros. None when there is nothing to gain for the largest batch.
    fn measured(gain: impl Fn(usize) -> f64) -> Option<Self> {
        let has_gain = |rows: &usize| gain(*rows) >= GAIN_MIN;
        let rows_min = BATCHES.into_iter().rev().take_while(has_gain).last()?;
        let rest_min = RESTS.into_iter().find(has_gain).unwrap_or(PANEL);
        Some(Self { rows_min, rest_min })
    }

    /// The rows that are run without zeros, and those after them that are not.
    pub(crate) fn split<'a, T>(&self, rows: Rows<'a, T>) -> (Rows<'a, T>, Rows<'a, T>) {
        let Rows { values, stride, count } = rows;
        let rest = Some(count % PANEL).filter(|&rest| rest < self.rest_min).unwrap_or(0);
        let whole = count - rest;
        let beyond = Rows { values: &values[whole * stride..], stride, count: rest };
        (Rows { values, stride, count: whole }, beyond)
    }
}

/// How many times faster the layer is without its zeros.
fn real_gain(sparse: &SparseF32, dense: &Stored, kernels: Kernels, rows: usize) -> f64 {
    let values = vec![0.5; rows * dense.inputs()];
    let input = Rows { values: &values, stride: dense.inputs(), count: rows };
    let [mut one, mut two] = [(); 2].map(|()| Aligned::new(rows * dense.stride()));
    let mut workspace = Aligned::new(sparse.workspace());
    times_longer(
        || dense.run(kernels, input, Output::Values(&mut one)),
        || {
            // Every run has to know it before zeros may be left out.
            let is_finite = kernels.first_not_finite(&values).is_none();
            if black_box(is_finite) {
                kernels.sparse_f32(sparse, input, Output::Values(&mut two), &mut workspace);
            }
        },
    )
}

/// Likewise on integers.
fn integer_gain(sparse: &SparseU8, dense: &DenseU8, kernels: Kernels, rows: usize) -> f64 {
    let values = vec![100; rows * dense.padded_inputs()];
    let input = Rows { values: &values, stride: dense.padded_inputs(), count: rows };
    let [mut one, mut two] = [(); 2].map(|()| Aligned::new(rows * dense.stride()));
    let [mut workspace, mut sparse_workspace] = [dense.workspace(rows), sparse.workspace()].map(Aligned::new);
    times_longer(
        || kernels.dense_u8(dense, input, Output::Values(&mut one), &mut workspace),
        || kernels.sparse_u8(sparse, input, Output::Values(&mut two), &mut sparse_workspace),
    )
}
