use std::ops::Range;

use super::epilogue::Place;
use crate::panel::PANEL;
use crate::simd::Simd;

/// The first row and the first panel of a tile.
#[derive(Clone, Copy)]
pub(crate) struct Corner {
    pub(crate) row: usize,
    pub(crate) panel: usize,
}

/// The place of a tile in its column, which shares the work of fetching the weights of the next column among its tiles.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    /// How many tiles were before it.
    pub(crate) tile: usize,
    pub(crate) tiles: usize,
}

impl Corner {
    /// Where the outputs of the tile go when rows are that far apart.
    #[inline(always)]
    pub(super) fn place(self, stride: usize) -> Place {
        Place { start: self.row * stride + self.panel * PANEL, stride }
    }
}

/// A layer cut into tiles: so many rows by so many panels whose sums all stay in registers.
pub(crate) trait Tiles {
    fn tile<const ROWS: usize, const PANELS: usize>(&mut self, corner: Corner, share: Share);
}

/// Whether an instruction set that holds `sums` panels of sums computes several panels of many rows at once.
pub(crate) const fn is_wide(sums: usize) -> bool {
    sums >= 24
}

/// The rows and the panels that tiles have to cover.
#[derive(Clone)]
pub(crate) struct Extent {
    pub(crate) rows: usize,
    pub(crate) panels: Range<usize>,
}

impl Extent {
    /// Visits every tile, for an instruction set that holds `sums` panels of sums.
    ///
    /// Panels are outermost, so that the weights come from memory once for all rows. The fewer the rows of a tile, the more panels
    /// it has: many sums in flight hide the latency of each.
    #[inline(always)]
    pub(crate) fn visit(self, sums: usize, tiles: &mut impl Tiles) {
        if is_wide(sums) { self.visit_24(tiles) } else { self.visit_narrow(sums, tiles) }
    }

    /// Tiles for 24 sums: 32 registers of sixteen lanes.
    #[inline(always)]
    fn visit_24(self, tiles: &mut impl Tiles) {
        let heights = Heights::of(self.rows, 8);
        let mut columns = Columns { heights, tiles, next: self.panels.start, end: self.panels.end };
        match self.rows {
            0 => return,
            1 | 2 => {
                columns.wide::<8>();
                columns.wide::<4>();
                columns.wide::<2>();
            }
            3 | 4 => {
                columns.wide::<6>();
                columns.wide::<3>();
            }
            5 | 6 => {
                columns.wide::<4>();
                columns.wide::<2>();
            }
            _ => {
                columns.wide_leaving_none_alone::<3>();
                columns.wide::<2>();
            }
        }
        columns.wide::<1>();
    }

    /// Tiles for so few sums: six are 12 registers of eight lanes of 16, or 24 of four lanes of 32.
    #[inline(always)]
    fn visit_narrow(self, sums: usize, tiles: &mut impl Tiles) {
        let heights = Heights::of(self.rows, sums);
        let mut columns = Columns { heights, tiles, next: self.panels.start, end: self.panels.end };
        match self.rows {
            0 => return,
            1 => {
                columns.wide::<4>();
                columns.wide::<2>();
            }
            2 | 3 => columns.wide::<2>(),
            _ => {}
        }
        columns.wide::<1>();
    }
}

/// How rows are shared among tiles: as few tiles as can be, each about as high as the others, because what is left over for a low one
/// costs as much as a high one.
#[derive(Clone, Copy)]
struct Heights {
    tiles: usize,
    /// The height of the lower ones; the first `higher` have one row more.
    low: usize,
    higher: usize,
}

impl Heights {
    fn of(rows: usize, highest: usize) -> Self {
        let tiles = rows.div_ceil(highest).max(1);
        Self { tiles, low: rows / tiles, higher: rows % tiles }
    }
}

/// Columns of tiles from left to right, each going down all the rows.
struct Columns<'a, T> {
    heights: Heights,
    tiles: &'a mut T,
    /// The first panel that is not yet covered.
    next: usize,
    end: usize,
}

impl<T: Tiles> Columns<'_, T> {
    /// Columns of `PANELS` panels while so many are left.
    #[inline(always)]
    fn wide<const PANELS: usize>(&mut self) {
        while self.next + PANELS <= self.end {
            self.down::<PANELS>();
        }
    }

    /// Likewise, but when a single panel would be left alone, one column less: two narrower ones then share the rest.
    #[inline(always)]
    fn wide_leaving_none_alone<const PANELS: usize>(&mut self) {
        while self.next + PANELS <= self.end && self.next + PANELS + 1 != self.end {
            self.down::<PANELS>();
        }
    }

    #[inline(always)]
    fn down<const PANELS: usize>(&mut self) {
        let Heights { tiles, low, higher } = self.heights;
        let mut corner = Corner { row: 0, panel: self.next };
        for tile in 0..tiles {
            let height = low + usize::from(tile < higher);
            self.tile::<PANELS>(height, corner, Share { tile, tiles });
            corner.row += height;
        }
        self.next += PANELS;
    }

    #[inline(always)]
    fn tile<const PANELS: usize>(&mut self, height: usize, corner: Corner, share: Share) {
        match height {
            1 => self.tiles.tile::<1, PANELS>(corner, share),
            2 => self.tiles.tile::<2, PANELS>(corner, share),
            3 => self.tiles.tile::<3, PANELS>(corner, share),
            4 => self.tiles.tile::<4, PANELS>(corner, share),
            5 => self.tiles.tile::<5, PANELS>(corner, share),
            6 => self.tiles.tile::<6, PANELS>(corner, share),
            7 => self.tiles.tile::<7, PANELS>(corner, share),
            _ => self.tiles.tile::<8, PANELS>(corner, share),
        }
    }
}

/// How many steps a loop makes at once: few enough for the code to stay small, enough that what is no arithmetic counts little.
pub(crate) const STEPS: usize = 4;

/// How many it makes at once where the weights of the next column are fetched so slowly that a line lasts for all of them, or not at all:
/// nearly a tenth fewer instructions in a tile of six sums, which shows most where another thread shares the processor's core.
pub(crate) const MANY_STEPS: usize = 4 * STEPS;

/// How many bytes come from memory at once.
const LINE: usize = 64;

/// How a tile goes through a panel.
#[derive(Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) count: usize,
    /// How many bytes of a panel a step takes.
    pub(crate) bytes: usize,
}

/// The weights of the next column, fetched line by line while a tile is computed.
pub(crate) struct Ahead<const PANELS: usize> {
    next: [*const u8; PANELS],
    /// How many bytes further on a tile goes with each fetch.
    stride: usize,
}

impl<const PANELS: usize> Ahead<PANELS> {
    /// For a tile of `steps` steps; `panels` are where the weights of the next column begin.
    #[inline(always)]
    pub(crate) fn new(panels: [*const u8; PANELS], share: Share, steps: Steps) -> Self {
        let start = steps.count * steps.bytes / share.tiles * share.tile;
        // The processor by itself follows several panels that are read once; it is only slow to follow a single one.
        let is_followed = share.tiles == 1 && PANELS > 1;
        let stride = if is_followed { 0 } else { STEPS * steps.bytes / share.tiles };
        Self { next: panels.map(|panel| panel.wrapping_add(start)), stride }
    }

    /// Whether a line lasts for `MANY_STEPS` steps, as it does in a column of many tiles and where nothing has to be fetched.
    #[inline(always)]
    pub(crate) fn is_slow(&self) -> bool {
        MANY_STEPS / STEPS * self.stride <= LINE
    }

    /// Fetches what belongs to `MANY_STEPS` steps of one that is slow.
    #[inline(always)]
    pub(crate) fn fetch_for_many<S: Simd>(&mut self, simd: S) {
        for next in &mut self.next {
            simd.prefetch(*next);
            *next = next.wrapping_add(MANY_STEPS / STEPS * self.stride);
        }
    }

    /// Fetches what belongs to `STEPS` steps.
    #[inline(always)]
    pub(crate) fn fetch<S: Simd>(&mut self, simd: S) {
        for next in &mut self.next {
            simd.prefetch(*next);
            if self.stride > LINE {
                // There are more only when a column has few tiles; one too many does no harm then.
                (1..STEPS).for_each(|line| simd.prefetch(next.wrapping_add(line * LINE)));
            }
            *next = next.wrapping_add(self.stride);
        }
    }
}
