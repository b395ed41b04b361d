/// How many outputs of a layer are computed side by side. Weights are packed in panels of this many outputs, and the
/// rows that a layer writes are padded to a multiple of it.
pub const PANEL: usize = 16;

/// How many `u8` codes one step of an integer layer takes; rows of codes are padded to a multiple of it.
pub(crate) const CODES_PER_STEP: usize = 4;

/// The weight codes that meet the codes of one step in one panel.
pub(crate) const BLOCK: usize = CODES_PER_STEP * PANEL;

/// The values of panel `index`.
pub(crate) fn of_panel<T>(values: &[T], index: usize) -> &[T; PANEL] {
    &values.as_chunks::<PANEL>().0[index]
}

/// `outputs` rounded up to whole panels.
pub(crate) fn padded(outputs: usize) -> usize {
    outputs.next_multiple_of(PANEL)
}

/// Copies `values` into a vector of `len` whose rest is `T::default()`.
pub(crate) fn pad_to<T: Copy + Default>(values: &[T], len: usize) -> Vec<T> {
    let mut padded = vec![T::default(); len];
    padded[..values.len()].copy_from_slice(values);
    padded
}
