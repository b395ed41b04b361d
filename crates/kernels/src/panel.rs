use std::ops::Range;

use leat_pauses::spans;

/// So many values of whole rows are gone over between two pauses, or one row that is longer.
const VALUES_PER_PAUSE: usize = 1 << 14;

/// How many outputs of a layer are computed side by side. Weights are packed in panels of this many outputs, and the
/// rows that a layer writes are padded to a multiple of it.
pub const PANEL: usize = 16;

/// How many `u8` codes one step of an integer layer takes; rows of codes are padded to a multiple of it.
pub(crate) const CODES_PER_STEP: usize = 4;

/// The weight codes that meet the codes of one step in one panel.
pub(crate) const BLOCK: usize = CODES_PER_STEP * PANEL;

/// So many `f32` are 4096 bytes.
const ALIASED: usize = 4096 / size_of::<f32>();

/// Some panels of a layer.
#[derive(Clone, Debug)]
pub struct Panels<'a, L> {
    /// The whole layer.
    pub layer: &'a L,
    /// Which of its panels.
    pub range: Range<usize>,
}

/// The values of panel `index`.
pub(crate) fn of_panel<T>(values: &[T], index: usize) -> &[T; PANEL] {
    &values.as_chunks::<PANEL>().0[index]
}

/// `outputs` rounded up to whole panels.
pub(crate) fn padded(outputs: usize) -> usize {
    outputs.next_multiple_of(PANEL)
}

/// How far apart rows of so many outputs start. A distance that is a multiple of 4096 bytes, for values or for codes, would put the same
/// place of every row into the same few sets of a cache: such rows are moved apart by a panel.
pub(crate) fn row_stride(outputs: usize) -> usize {
    let padded = padded(outputs);
    if padded.is_multiple_of(ALIASED) { padded + PANEL } else { padded }
}

/// The rows of a matrix (`[rows, len]`), with pauses between some of them.
pub(crate) fn paused_rows<T>(matrix: &[T], len: usize) -> impl Iterator<Item = &[T]> {
    spans(matrix.len() / len, (VALUES_PER_PAUSE / len).max(1))
        .flat_map(move |rows| matrix[rows.start * len..rows.end * len].chunks_exact(len))
}

/// Copies `values` into a vector of `len` whose rest is `T::default()`.
pub(crate) fn pad_to<T: Copy + Default>(values: &[T], len: usize) -> Vec<T> {
    let mut padded = vec![T::default(); len];
    padded[..values.len()].copy_from_slice(values);
    padded
}
