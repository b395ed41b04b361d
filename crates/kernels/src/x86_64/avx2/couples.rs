use std::arch::x86_64::*;

use super::Avx2;
use crate::couples::{Couples, CouplesOfPanel};
use crate::generic::tiling::{Ahead, Corner, Extent, STEPS, Share, Steps, Tiles};
use crate::generic::{RunDenseU8, finish};
use crate::panel::{BLOCK, CODES_PER_STEP};
use crate::simd::{Kernel, Simd};
use crate::{DenseU8, Output, Rows};

/// How many panels of sums leave enough registers for what a couple needs: fewer than where blocks are multiplied by themselves.
const SUMS: usize = 4;

/// How many couples a step of the loop takes.
const TOGETHER: usize = STEPS / 2;

/// Runs a layer whose blocks are in couples: for each two, three multiplications instead of four.
pub(super) struct RunCouples<'a, 'b> {
    pub(super) token: Avx2<true>,
    pub(super) couples: &'a Couples,
    pub(super) run: RunDenseU8<'a, 'b>,
}

impl Kernel for RunCouples<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, _: S) {
        let RunDenseU8 { panels, input, .. } = &self.run;
        let extent = Extent { rows: input.count, panels: panels.clone() };
        extent.visit(SUMS, &mut self);
    }
}

impl Tiles for RunCouples<'_, '_> {
    #[inline(always)]
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner, share: Share) {
        let Self { token, couples, run: RunDenseU8 { layer, input, output, .. } } = self;
        token.vectorize(Tile::<ROWS, PANELS> { token: *token, couples, layer, input, output, corner, share });
    }
}

struct Tile<'a, 'b, const ROWS: usize, const PANELS: usize> {
    token: Avx2<true>,
    couples: &'a Couples,
    layer: &'a DenseU8,
    input: &'a Rows<'a, u8>,
    output: &'a mut Output<'b>,
    corner: Corner,
    share: Share,
}

impl<const ROWS: usize, const PANELS: usize> Kernel for Tile<'_, '_, ROWS, PANELS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { token, couples, layer, input, output, corner, share } = self;
        let mut panels = [CouplesOfPanel { places: &[], weights: &[] }; PANELS];
        for (panel, index) in panels.iter_mut().zip(corner.panel..) {
            *panel = couples.panel(index);
        }
        let starts: [_; ROWS] = input.starts(corner.row, layer.padded_inputs());
        let rows = starts.map(|start| start.cast());
        // SAFETY: a row holds four codes for each block of the layer, and the places are of its blocks.
        let sums = unsafe { sums(token, rows, panels, share) };
        finish(token, &sums, layer, corner, output);
    }
}

/// The exact sums of a tile.
///
/// # Safety
/// Each row holds every block that is named.
#[inline(always)]
unsafe fn sums<const ROWS: usize, const PANELS: usize>(
    token: Avx2<true>,
    rows: [*const [u8; CODES_PER_STEP]; ROWS],
    panels: [CouplesOfPanel<'_>; PANELS],
    share: Share,
) -> [[[__m256i; 2]; PANELS]; ROWS] {
    let all = panels.iter().map(|panel| panel.places.len());
    let (shortest, count) = (all.clone().min().unwrap_or(0), all.sum::<usize>());
    let next = panels.map(|panel| panel.weights.as_ptr().wrapping_add(count).cast());
    let steps = Steps { count: 2 * count / PANELS, bytes: BLOCK };
    let mut ahead = Ahead::new(next, share, steps);
    let mut sums = [[token.zero(); PANELS]; ROWS];
    let in_steps = shortest / TOGETHER * TOGETHER;
    for step in (0..in_steps).step_by(TOGETHER) {
        ahead.fetch(token);
        for index in step..step + TOGETHER {
            for (panel, couples) in panels.iter().enumerate() {
                // SAFETY: no panel has fewer couples, and the rows hold their blocks.
                unsafe { add(token, rows, couples, Place { index, panel }, &mut sums) };
            }
        }
    }
    for (panel, couples) in panels.iter().enumerate() {
        for index in in_steps..couples.places.len() {
            // SAFETY: the panel has so many couples, and the rows hold their blocks.
            unsafe { add(token, rows, couples, Place { index, panel }, &mut sums) };
        }
    }
    sums
}

/// Which couple is meant.
#[derive(Clone, Copy)]
struct Place {
    index: usize,
    /// The panel among those of the tile.
    panel: usize,
}

/// Adds the products of one couple.
///
/// # Safety
/// The panel has that couple, and each row holds its blocks.
#[inline(always)]
unsafe fn add<const ROWS: usize, const PANELS: usize>(
    token: Avx2<true>,
    rows: [*const [u8; CODES_PER_STEP]; ROWS],
    couples: &CouplesOfPanel<'_>,
    place: Place,
    sums: &mut [[[__m256i; 2]; PANELS]; ROWS],
) {
    // SAFETY: there are as many weights as places, and more than the index.
    let ([first, second], weights) =
        unsafe { (couples.places.get_unchecked(place.index), couples.weights.get_unchecked(place.index)) };
    let (first, second) = (usize::from(*first), usize::from(*second));
    let weights = [token.weights(&weights[0], 0), token.weights(&weights[1], 0)];
    for (row, sums) in rows.iter().zip(sums) {
        // SAFETY: the row holds both blocks.
        let codes = unsafe { [*row.add(first), *row.add(second)] };
        sums[place.panel] = token.dot_couple(sums[place.panel], weights, codes);
    }
}

impl Avx2<true> {
    /// Adds the products of both blocks of a couple, the first sums of them in 16 bits.
    #[inline(always)]
    fn dot_couple(
        self,
        sums: [__m256i; 2],
        weights: [[__m256i; 2]; 2],
        codes: [[u8; CODES_PER_STEP]; 2],
    ) -> [__m256i; 2] {
        let codes = [self.codes(codes[0], 0), self.codes(codes[1], 0)];
        let mut result = sums;
        for half in 0..2 {
            // SAFETY: the token.
            unsafe {
                let pairs = _mm256_add_epi16(
                    _mm256_maddubs_epi16(codes[0], weights[0][half]),
                    _mm256_maddubs_epi16(codes[1], weights[1][half]),
                );
                result[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(_mm256_set1_epi16(1), pairs));
            }
        }
        result
    }
}
