/// The first row and the first panel of a tile.
#[derive(Clone, Copy)]
pub(super) struct Corner {
    pub(super) row: usize,
    pub(super) panel: usize,
}
