//! What kernels share in which a lane is a row.

use std::ops::Range;

use super::epilogue::{self, Place};
use crate::panel::PANEL;
use crate::simd::Simd;
use crate::{Activation, Output};

/// A layer that is run on a few vectors of rows at once.
pub(super) trait ByRows {
    /// Runs the layer on these rows, which fill at most `VECTORS` vectors.
    fn part<const VECTORS: usize>(&mut self, rows: Range<usize>);
}

/// Runs a layer on all its rows. Two vectors of rows at once hide some of the latency of each sum; more would no longer fit the cache.
#[inline(always)]
pub(super) fn visit(rows: usize, layer: &mut impl ByRows) {
    let start = down::<2>(0, rows, layer);
    let start = down::<1>(start, rows, layer);
    if start < rows {
        layer.part::<1>(start..rows);
    }
}

/// Goes down the rows while there are enough for `VECTORS` whole vectors. Gives the row of what remains.
#[inline(always)]
fn down<const VECTORS: usize>(mut start: usize, rows: usize, layer: &mut impl ByRows) -> usize {
    while start + VECTORS * PANEL <= rows {
        let end = start + VECTORS * PANEL;
        layer.part::<VECTORS>(start..end);
        start = end;
    }
    start
}

/// Where the sums of some rows by one panel go, and what is applied to them.
pub(super) struct Target {
    pub(super) rows: Range<usize>,
    pub(super) panel: usize,
    /// The distance between two rows that come out.
    pub(super) stride: usize,
    pub(super) activation: Activation,
}

impl Target {
    /// Turns the sums, for each vector of rows those of sixteen outputs, applies the activation and stores them.
    #[inline(always)]
    pub(super) fn finish<S: Simd, const VECTORS: usize>(
        &self,
        simd: S,
        sums: [[S::Real; PANEL]; VECTORS],
        output: &mut Output<'_>,
    ) {
        for (vector, sums) in sums.into_iter().enumerate() {
            for (row, sums) in self.rows.clone().skip(vector * PANEL).zip(simd.transpose(sums)) {
                let place = Place { start: row * self.stride + self.panel * PANEL, stride: self.stride };
                epilogue::finish(simd, [[sums]], self.activation, &place, output);
            }
        }
    }
}
