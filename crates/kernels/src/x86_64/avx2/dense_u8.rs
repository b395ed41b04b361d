use std::arch::x86_64::*;

use super::epilogue;
use super::tile::Corner;
use super::vector::{load, load_i32};
use super::{LANES, VECTORS};
use crate::panel::{CODES_PER_STEP, PANEL};
use crate::{DenseU8, Output, Rows};

/// The most rows a tile takes: 4 rows by one panel leave room for widened weights and codes beside 8 sums.
const ROWS_MAX: usize = 4;

/// The bytes of weights that meet one pair of codes in one panel.
const PAIR: usize = 2 * PANEL;

/// The rows and the layer a tile reads.
struct Operands<'a> {
    layer: &'a DenseU8,
    input: &'a Rows<'a, u8>,
}

/// As `dense_f32`: full tiles panel by panel, then the rows left over.
#[target_feature(enable = "avx2,fma")]
pub(super) fn dense_u8(layer: &DenseU8, input: &Rows<'_, u8>, output: &mut Output<'_>) {
    let operands = Operands { layer, input };
    let tiled = input.count - input.count % ROWS_MAX;
    for panel in 0..layer.panels() {
        for row in (0..tiled).step_by(ROWS_MAX) {
            tile::<ROWS_MAX, 1>(&operands, Corner { row, panel }, output);
        }
    }
    let corner = Corner { row: tiled, panel: 0 };
    match input.count - tiled {
        0 => {}
        1 => {
            let corner = across::<1, 4>(&operands, corner, output);
            let corner = across::<1, 2>(&operands, corner, output);
            across::<1, 1>(&operands, corner, output);
        }
        2 => {
            let corner = across::<2, 2>(&operands, corner, output);
            across::<2, 1>(&operands, corner, output);
        }
        _ => _ = across::<3, 1>(&operands, corner, output),
    }
}

/// Runs tiles from the corner to the right while `PANELS` panels are left. Gives the corner of what remains.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn across<const ROWS: usize, const PANELS: usize>(
    operands: &Operands<'_>,
    mut corner: Corner,
    output: &mut Output<'_>,
) -> Corner {
    while corner.panel + PANELS <= operands.layer.panels() {
        tile::<ROWS, PANELS>(operands, corner, output);
        corner.panel += PANELS;
    }
    corner
}

/// `ROWS` rows by `PANELS` panels, all sums in registers.
///
/// Weights and codes are widened to 16 bits before they are multiplied. The 8-bit product `vpmaddubsw` would saturate:
/// `2 · 255 · 127` does not fit 16 bits.
#[target_feature(enable = "avx2,fma")]
fn tile<const ROWS: usize, const PANELS: usize>(
    operands: &Operands<'_>,
    corner: Corner,
    output: &mut Output<'_>,
) {
    let Operands { layer, input } = operands;
    let inputs = layer.padded_inputs();
    let rows: [*const u8; ROWS] = std::array::from_fn(|row| input.row(corner.row + row, inputs).as_ptr());
    let panels: [*const i8; PANELS] = std::array::from_fn(|panel| layer.panel(corner.panel + panel).as_ptr());
    let spread = [spread_pair(0), spread_pair(2)];
    let mut sums = [[[_mm256_setzero_si256(); VECTORS]; PANELS]; ROWS];
    for input in (0..inputs).step_by(CODES_PER_STEP) {
        let mut codes = [_mm256_setzero_si256(); ROWS];
        for (codes, row) in codes.iter_mut().zip(rows) {
            // SAFETY: a row holds `inputs` codes, a multiple of four, and `input < inputs` too; so four lie from there on.
            *codes = _mm256_set1_epi32(unsafe { row.add(input).cast::<i32>().read_unaligned() });
        }
        for (pair, spread) in spread.into_iter().enumerate() {
            for panel in 0..PANELS {
                // SAFETY: a panel holds `inputs · PANEL` codes and the pair's two inputs are below `inputs`.
                let weights = unsafe { widened(panels[panel].add(input * PANEL + pair * PAIR)) };
                for row in 0..ROWS {
                    let codes = _mm256_shuffle_epi8(codes[row], spread);
                    for (sum, weights) in sums[row][panel].iter_mut().zip(weights) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(codes, weights));
                    }
                }
            }
        }
    }
    for (row, sums) in sums.into_iter().enumerate() {
        for (panel, sums) in sums.into_iter().enumerate() {
            let start = (corner.row + row) * layer.stride() + (corner.panel + panel) * PANEL;
            let values = dequantized(layer, corner.panel + panel, sums);
            epilogue::finish(values, layer.activation(), start, output);
        }
    }
}

/// The shuffle that takes bytes `first` and `first + 1` of every group of four apart into two 16-bit numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn spread_pair(first: i32) -> __m256i {
    const ZERO: i32 = 0x80;
    _mm256_set1_epi32(first | (ZERO << 8) | ((first + 1) << 16) | (ZERO << 24))
}

/// The weights of one pair of inputs in one panel, widened to 16 bits.
///
/// # Safety
/// `PAIR` codes lie from `weights` on.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn widened(weights: *const i8) -> [__m256i; VECTORS] {
    // SAFETY: the caller answers for 32 bytes.
    let halves = unsafe { [_mm_loadu_si128(weights.cast()), _mm_loadu_si128(weights.add(PAIR / 2).cast())] };
    [_mm256_cvtepi8_epi16(halves[0]), _mm256_cvtepi8_epi16(halves[1])]
}

/// The real numbers that exact sums stand for.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn dequantized(layer: &DenseU8, panel: usize, sums: [__m256i; VECTORS]) -> [__m256; VECTORS] {
    let (correction, multiplier, bias) = layer.panel_terms(panel);
    let (correction, _) = correction.as_chunks::<LANES>();
    let (multiplier, _) = multiplier.as_chunks::<LANES>();
    let (bias, _) = bias.as_chunks::<LANES>();
    let mut values = [_mm256_setzero_ps(); VECTORS];
    for (half, (value, sum)) in values.iter_mut().zip(sums).enumerate() {
        let exact = _mm256_cvtepi32_ps(_mm256_sub_epi32(sum, load_i32(&correction[half])));
        *value = _mm256_fmadd_ps(exact, load(&multiplier[half]), load(&bias[half]));
    }
    values
}
