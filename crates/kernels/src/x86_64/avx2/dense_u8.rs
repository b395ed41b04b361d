use std::arch::x86_64::*;

use super::Avx2;
use super::couples::RunCouples;
use crate::generic::tiling::{Corner, Extent, Share, Tiles};
use crate::generic::{CodeRow, RunDenseU8, finish, sums};
use crate::panel::CODES_PER_STEP;
use crate::simd::{Kernel, Simd};
use crate::{DenseU8, Output, Rows};

/// From so many rows on, codes are widened once for all panels; tiles of fewer rows have several panels to share the work.
pub(crate) const WIDE_ROWS_MIN: usize = 4;

/// How many inputs lie side by side for each output of a layer whose pairs fit.
pub(crate) const FITTING_GROUP: usize = CODES_PER_STEP;

/// How many bytes a pair of widened codes takes.
const PAIR: usize = 4;

/// Runs a layer whose lengths and order of weights were checked.
pub(crate) fn dense_u8(token: Avx2, run: RunDenseU8<'_, '_>, workspace: &mut [u8]) {
    if run.layer.pairs_fit() {
        let token = token.for_fitting_pairs();
        return match run.layer.couples(run.input.count) {
            Some(couples) => token.vectorize(RunCouples { token, couples, run }),
            None => token.vectorize(run),
        };
    }
    if run.input.count < WIDE_ROWS_MIN {
        return token.vectorize(run);
    }
    let RunDenseU8 { layer, panels, input, output } = run;
    let (pairs, _) = workspace.as_chunks_mut::<PAIR>();
    token.vectorize(Widen { input, width: layer.padded_inputs(), pairs: &mut *pairs });
    let extent = Extent { rows: input.count, panels };
    token.vectorize(Walk { token, layer, pairs, output, extent });
}

/// Widens the codes of all rows to 16 bits, one row after the other.
struct Widen<'a> {
    input: &'a Rows<'a, u8>,
    width: usize,
    pairs: &'a mut [[u8; PAIR]],
}

impl Kernel for Widen<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { input, width, pairs } = self;
        for (row, pairs) in pairs.chunks_exact_mut(width / 2).take(input.count).enumerate() {
            let (codes, _) = input.row(row, width).as_chunks::<2>();
            for (&[first, second], pair) in codes.iter().zip(pairs) {
                *pair = [first, 0, second, 0];
            }
        }
    }
}

/// Goes through the tiles.
struct Walk<'a, 'b> {
    token: Avx2,
    layer: &'a DenseU8,
    pairs: &'a [[u8; PAIR]],
    output: &'a mut Output<'b>,
    extent: Extent,
}

impl Kernel for Walk<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        self.extent.clone().visit(<Avx2>::SUMS, &mut self);
    }
}

impl Tiles for Walk<'_, '_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner, share: Share) {
        let Self { token, layer, pairs, output, .. } = self;
        let tile = Tile::<ROWS, PANELS> { token: *token, layer, pairs, output, corner, share };
        token.vectorize(tile);
    }
}

struct Tile<'a, 'b, const ROWS: usize, const PANELS: usize> {
    token: Avx2,
    layer: &'a DenseU8,
    pairs: &'a [[u8; PAIR]],
    output: &'a mut Output<'b>,
    corner: Corner,
    share: Share,
}

impl<const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        assert!(ROWS * PANELS <= <Avx2>::SUMS, "the sums of a tile stay in registers");
        let Self { token, layer, pairs, output, corner, share } = self;
        let width = layer.padded_inputs() / 2;
        let mut rows = [Wide(std::ptr::null()); ROWS];
        for (row, codes) in rows.iter_mut().enumerate() {
            *codes = Wide(pairs[(corner.row + row) * width..][..width].as_ptr());
        }
        // SAFETY: a row holds two pairs for each block.
        let sums: [[_; PANELS]; ROWS] = unsafe { sums(token, rows, layer, corner, share) };
        finish(token, &sums, layer, corner, output);
    }
}

/// Pairs of codes, widened to 16 bits.
#[derive(Clone, Copy)]
struct Wide(*const [u8; PAIR]);

impl CodeRow<Avx2> for Wide {
    #[inline(always)]
    unsafe fn part(self, _: Avx2, block: usize, part: usize) -> __m256i {
        // SAFETY: the token, and the row holds two pairs for each block.
        unsafe {
            let pair = *self.0.add(block * (CODES_PER_STEP / 2) + part);
            _mm256_set1_epi32(i32::from_le_bytes(pair))
        }
    }

    #[inline(always)]
    fn skip(self, blocks: usize) -> Self {
        Self(self.0.wrapping_add(blocks * (CODES_PER_STEP / 2)))
    }
}
