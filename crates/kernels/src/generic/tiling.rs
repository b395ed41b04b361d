use super::epilogue::Place;
use crate::panel::PANEL;

/// The first row and the first panel of a tile.
#[derive(Clone, Copy)]
pub(super) struct Corner {
    pub(super) row: usize,
    pub(super) panel: usize,
}

impl Corner {
    /// Where the outputs of the tile go when rows are that far apart.
    #[inline(always)]
    pub(super) fn place(self, stride: usize) -> Place {
        Place { start: self.row * stride + self.panel * PANEL, stride }
    }
}

/// A layer cut into tiles: so many rows by so many panels whose sums all stay in registers.
pub(super) trait Tiles {
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner);
}

/// How many rows and panels a layer has to go through.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    pub(super) rows: usize,
    pub(super) panels: usize,
}

impl Extent {
    /// Visits every tile, for an instruction set that holds `sums` panels of sums.
    ///
    /// Full tiles come first, their panels outermost, so that the weights come from memory once for all rows; then the rows that
    /// are left over. The fewer the rows of a tile, the more panels it has: many sums in flight hide the latency of each.
    #[inline(always)]
    pub(super) fn visit(self, sums: usize, tiles: &mut impl Tiles) {
        if sums >= 24 { self.visit_24(tiles) } else { self.visit_6(tiles) }
    }

    /// Tiles for 24 sums: 32 registers of sixteen lanes.
    #[inline(always)]
    fn visit_24(self, tiles: &mut impl Tiles) {
        let tiled = self.rows - self.rows % 8;
        // Three panels at a time, but never one alone when there are others to go with.
        let threes = match self.panels % 3 {
            1 => self.panels.saturating_sub(4),
            rest => self.panels - rest,
        };
        let panel = Self { panels: threes, ..self }.down::<8, 3>(tiles, 0, tiled);
        let panel = self.down::<8, 2>(tiles, panel, tiled);
        self.down::<8, 1>(tiles, panel, tiled);
        let start = Corner { row: tiled, panel: 0 };
        match self.rows - tiled {
            0 => {}
            1 => {
                let corner = self.across::<1, 8>(tiles, start);
                let corner = self.across::<1, 4>(tiles, corner);
                let corner = self.across::<1, 2>(tiles, corner);
                self.across::<1, 1>(tiles, corner);
            }
            2 => {
                let corner = self.across::<2, 8>(tiles, start);
                let corner = self.across::<2, 4>(tiles, corner);
                let corner = self.across::<2, 2>(tiles, corner);
                self.across::<2, 1>(tiles, corner);
            }
            3 => {
                let corner = self.across::<3, 6>(tiles, start);
                let corner = self.across::<3, 3>(tiles, corner);
                self.across::<3, 1>(tiles, corner);
            }
            4 => {
                let corner = self.across::<4, 6>(tiles, start);
                let corner = self.across::<4, 3>(tiles, corner);
                self.across::<4, 1>(tiles, corner);
            }
            5 => {
                let corner = self.across::<5, 4>(tiles, start);
                let corner = self.across::<5, 2>(tiles, corner);
                self.across::<5, 1>(tiles, corner);
            }
            6 => {
                let corner = self.across::<6, 4>(tiles, start);
                let corner = self.across::<6, 2>(tiles, corner);
                self.across::<6, 1>(tiles, corner);
            }
            _ => {
                let corner = self.across::<7, 3>(tiles, start);
                self.across::<7, 1>(tiles, corner);
            }
        }
    }

    /// Tiles for 6 sums: 12 registers of eight lanes of 16, or 24 of four lanes of 32.
    #[inline(always)]
    fn visit_6(self, tiles: &mut impl Tiles) {
        let tiled = self.rows - self.rows % 6;
        self.down::<6, 1>(tiles, 0, tiled);
        let start = Corner { row: tiled, panel: 0 };
        match self.rows - tiled {
            0 => {}
            1 => {
                let corner = self.across::<1, 4>(tiles, start);
                let corner = self.across::<1, 2>(tiles, corner);
                self.across::<1, 1>(tiles, corner);
            }
            2 => {
                let corner = self.across::<2, 2>(tiles, start);
                self.across::<2, 1>(tiles, corner);
            }
            3 => {
                let corner = self.across::<3, 2>(tiles, start);
                self.across::<3, 1>(tiles, corner);
            }
            4 => _ = self.across::<4, 1>(tiles, start),
            _ => _ = self.across::<5, 1>(tiles, start),
        }
    }

    /// Goes down the rows before `tiled` while `PANELS` panels are left. Gives the panel of what remains.
    #[inline(always)]
    fn down<const ROWS: usize, const PANELS: usize>(
        self,
        tiles: &mut impl Tiles,
        mut panel: usize,
        tiled: usize,
    ) -> usize {
        while panel + PANELS <= self.panels {
            for row in (0..tiled).step_by(ROWS) {
                tiles.tile::<ROWS, PANELS>(Corner { row, panel });
            }
            panel += PANELS;
        }
        panel
    }

    /// Runs tiles from the corner to the right while `PANELS` panels are left. Gives the corner of what remains.
    #[inline(always)]
    fn across<const ROWS: usize, const PANELS: usize>(
        self,
        tiles: &mut impl Tiles,
        mut corner: Corner,
    ) -> Corner {
        while corner.panel + PANELS <= self.panels {
            tiles.tile::<ROWS, PANELS>(corner);
            corner.panel += PANELS;
        }
        corner
    }
}
