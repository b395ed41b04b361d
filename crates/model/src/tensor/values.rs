//! What the stored values stand for, expanded a few at a time.

use half::slice::HalfFloatSliceExt;
use leat_pauses::{pieces, spans};

use super::{Mask, packing};
use crate::{Encoding, Tensor};

/// So many values are expanded at a time: 4 KiB, which stay in the first cache. A multiple of 8, so that a piece begins with a byte of a mask.
const EXPANDED: usize = 1024;

impl Tensor {
    /// Calls `visit` with every stored value in order, some at a time and with pauses, without expanding the tensor in memory.
    pub(crate) fn for_each_piece(&self, visit: impl FnMut(&[f32])) {
        match &self.encoding {
            Encoding::F32(values) => pieces(values).for_each(visit),
            Encoding::F16(values) => expand_halves(values, visit),
            Encoding::Bf16(values) => expand_halves(values, visit),
            Encoding::Int8 { codes, scales } => {
                let decode = |at: usize, scale: f32, piece: &mut [f32]| {
                    for (value, code) in piece.iter_mut().zip(&codes[at..]) {
                        *value = f32::from(*code) * scale;
                    }
                };
                expand_scaled(codes.len(), scales, decode, visit);
            }
            Encoding::Int4 { packed, scales } => {
                let decode = |at: usize, scale: f32, piece: &mut [f32]| {
                    for (offset, value) in piece.iter_mut().enumerate() {
                        *value = f32::from(packing::nibble(packed, at + offset)) * scale;
                    }
                };
                expand_scaled(self.stored(), scales, decode, visit);
            }
            Encoding::Sparse { mask, values } => {
                let mut values = values.iter().copied();
                expand(self.stored(), |at, piece| scatter(mask, at, &mut values, piece), visit);
            }
            Encoding::Codebook { centroids, packed } => {
                let bits = packing::index_bits(centroids.len());
                let decode = |index| {
                    let centroid = centroids.get(packing::index(packed, bits, index));
                    centroid.copied().unwrap_or(0.0)
                };
                expand(self.stored(), one_by_one(decode), visit);
            }
        }
    }

    /// How many values the encoding holds; of a valid tensor as many as the shape.
    pub(super) fn stored(&self) -> usize {
        match &self.encoding {
            Encoding::F32(values) => values.len(),
            Encoding::F16(values) => values.len(),
            Encoding::Bf16(values) => values.len(),
            Encoding::Int8 { codes, .. } => codes.len(),
            Encoding::Int4 { packed, .. } => self.len().min(packed.len().saturating_mul(2)),
            Encoding::Sparse { mask, .. } => mask.len.min(mask.bits.len().saturating_mul(8)),
            Encoding::Codebook { centroids, packed } => {
                let bits = packing::index_bits(centroids.len());
                self.len().min(packed.len().saturating_mul(8) / bits)
            }
        }
    }
}

/// Visits `count` values. `fill` is given where a piece begins, and the piece.
fn expand(count: usize, mut fill: impl FnMut(usize, &mut [f32]), mut visit: impl FnMut(&[f32])) {
    let mut buffer = [0.0; EXPANDED];
    for span in spans(count, EXPANDED) {
        let piece = &mut buffer[..span.len()];
        fill(span.start, piece);
        visit(piece);
    }
}

/// As [`expand`], for values of 16 bits.
fn expand_halves<T>(values: &[T], visit: impl FnMut(&[f32]))
where
    [T]: HalfFloatSliceExt,
{
    expand(values.len(), |at, piece| values[at..][..piece.len()].convert_to_f32_slice(piece), visit);
}

/// As [`expand`], where each scale holds for an equal share of `count` codes; what would have no scale is left out. `fill` is given
/// where a part of a piece begins, its scale, and the part.
fn expand_scaled(
    count: usize,
    scales: &[f32],
    mut fill: impl FnMut(usize, f32, &mut [f32]),
    visit: impl FnMut(&[f32]),
) {
    let share = count.checked_div(scales.len()).unwrap_or(0).max(1);
    let fill_parts = |at: usize, piece: &mut [f32]| {
        let mut from = 0;
        while from < piece.len() {
            let index = at + from;
            let until = piece.len().min(from + share - index % share);
            fill(index, scales[index / share], &mut piece[from..until]);
            from = until;
        }
    };
    expand(count.min(share.saturating_mul(scales.len())), fill_parts, visit);
}

/// Fills pieces for [`expand`] from what each value is.
fn one_by_one(value_at: impl Fn(usize) -> f32) -> impl Fn(usize, &mut [f32]) {
    move |at, piece| piece.iter_mut().enumerate().for_each(|(offset, value)| *value = value_at(at + offset))
}

/// Puts the next values where the mask has a bit, from bit `at` on, which begins a byte, and zeros elsewhere.
fn scatter(mask: &Mask, at: usize, values: &mut impl Iterator<Item = f32>, piece: &mut [f32]) {
    piece.fill(0.0);
    for (byte, piece) in mask.bits[at / 8..].iter().zip(piece.chunks_mut(8)) {
        let mut bits = *byte;
        while bits != 0 {
            // A bit past the end of the mask has no value.
            if let Some(value) = piece.get_mut(bits.trailing_zeros() as usize) {
                *value = values.next().unwrap_or(0.0);
            }
            bits &= bits - 1;
        }
    }
}
