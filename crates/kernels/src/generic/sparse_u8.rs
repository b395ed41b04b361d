use std::array::from_fn;
use std::ops::Range;

use super::by_rows::{self, ByRows, Target};
use crate::panel::{BLOCK, CODES_PER_STEP, PANEL};
use crate::simd::{Kernel, Simd};
use crate::sparse_u8::BlockEntry;
use crate::{Output, Rows, SparseU8};

/// How many outputs are computed side by side.
const TOGETHER: usize = 4;

/// A block of neighbouring codes of sixteen rows, row by row.
type Lanes = [u8; BLOCK];

/// Runs a layer whose lengths and kernels were checked. Here a lane is a row, as for `f32`: rows are turned so that the
/// neighbouring codes of a block lie side by side for sixteen rows, and each block of weights then costs one product for all of them.
pub(crate) struct RunSparseU8<'a, 'b> {
    pub(crate) layer: &'a SparseU8,
    pub(crate) input: &'a Rows<'a, u8>,
    pub(crate) output: &'a mut Output<'b>,
    pub(crate) workspace: &'a mut [u8],
}

impl Kernel for RunSparseU8<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        by_rows::visit(self.input.count, &mut Walk { simd, run: self });
    }
}

struct Walk<'a, 'b, S> {
    simd: S,
    run: RunSparseU8<'a, 'b>,
}

impl<S: Simd> ByRows for Walk<'_, '_, S> {
    #[inline(always)]
    fn part<const VECTORS: usize>(&mut self, rows: Range<usize>) {
        let RunSparseU8 { layer, input, output, workspace } = &mut self.run;
        self.simd.vectorize(Part::<VECTORS> { layer, input, output, workspace, rows });
    }
}

/// At most `VECTORS` vectors of rows.
struct Part<'a, 'b, const VECTORS: usize> {
    layer: &'a SparseU8,
    input: &'a Rows<'a, u8>,
    output: &'a mut Output<'b>,
    workspace: &'a mut [u8],
    rows: Range<usize>,
}

impl<const VECTORS: usize> Kernel for Part<'_, '_, VECTORS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { layer, input, output, workspace, rows } = self;
        let (blocks, _) = workspace.as_chunks_mut::<BLOCK>();
        let (blocks, _) = blocks.as_chunks_mut::<VECTORS>();
        let blocks = &mut blocks[..layer.blocks()];
        turn(layer, input, rows.clone(), blocks);
        for panel in 0..layer.panels() {
            let values = values(simd, layer, panel, blocks);
            let (stride, activation) = (layer.stride(), layer.activation());
            Target { rows: rows.clone(), panel, stride, activation }.finish(simd, values, output);
        }
    }
}

/// The real numbers of one panel: for each vector of rows those of sixteen outputs.
#[inline(always)]
fn values<S: Simd, const VECTORS: usize>(
    simd: S,
    layer: &SparseU8,
    panel: usize,
    blocks: &[[Lanes; VECTORS]],
) -> [[S::Real; PANEL]; VECTORS] {
    let mut all = [[simd.splat(0.0); PANEL]; VECTORS];
    let terms = layer.panel_terms(panel);
    for start in (0..PANEL).step_by(TOGETHER) {
        let entries: [_; TOGETHER] = from_fn(|output| layer.entries(panel * PANEL + start + output));
        for (index, sums) in (start..).zip(sums(simd, entries, blocks)) {
            let correction = simd.load_integer(&[terms.correction[index]; PANEL]);
            let (multiplier, bias) = (simd.splat(terms.multiplier[index]), simd.splat(terms.bias[index]));
            for (all, sum) in all.iter_mut().zip(sums) {
                let exact = simd.to_real(simd.sub_integer(sum, correction));
                all[index] = simd.fma(exact, multiplier, bias);
            }
        }
    }
    all
}

/// The exact sums of a few outputs, for each vector of rows. They are computed side by side, because the latency of one sum is several
/// products.
#[inline(always)]
fn sums<S: Simd, const VECTORS: usize>(
    simd: S,
    entries: [&[BlockEntry]; TOGETHER],
    blocks: &[[Lanes; VECTORS]],
) -> [[S::Integer; VECTORS]; TOGETHER] {
    let mut sums = [[simd.zero(); VECTORS]; TOGETHER];
    let add = |sums: &mut [S::Integer; VECTORS], entry: &BlockEntry| {
        // SAFETY: an entry's block is below `layer.blocks()`, which is how many there are.
        let codes = unsafe { blocks.get_unchecked(entry.block as usize) };
        for (sum, codes) in sums.iter_mut().zip(codes) {
            *sum = simd.dot_rows(*sum, codes, entry.weights);
        }
    };
    let shortest = entries.iter().map(|entries| entries.len()).min().unwrap_or(0);
    for place in 0..shortest {
        for (sums, entries) in sums.iter_mut().zip(entries) {
            // SAFETY: `place` is below the length of the shortest.
            add(sums, unsafe { entries.get_unchecked(place) });
        }
    }
    for (sums, entries) in sums.iter_mut().zip(entries) {
        entries[shortest..].iter().for_each(|entry| add(sums, entry));
    }
    sums
}

/// Rows become blocks; what is past the last row is zero.
#[inline(always)]
fn turn<const VECTORS: usize>(
    layer: &SparseU8,
    input: &Rows<'_, u8>,
    rows: Range<usize>,
    blocks: &mut [[Lanes; VECTORS]],
) {
    for (index, row) in (0..VECTORS * PANEL).map(|index| (index, rows.start + index)) {
        let place = Lane { vector: index / PANEL, lane: index % PANEL };
        let codes = if row < rows.end { input.row(row, layer.padded_inputs()) } else { &[] };
        match layer.block() {
            CODES_PER_STEP => place.fill(codes.as_chunks::<CODES_PER_STEP>().0, blocks, |codes| codes),
            _ => place.fill(codes.as_chunks::<2>().0, blocks, |[first, second]| [first, 0, second, 0]),
        }
    }
}

/// Where the codes of one row go in each block.
struct Lane {
    vector: usize,
    lane: usize,
}

impl Lane {
    #[inline(always)]
    fn fill<const CODES: usize, const VECTORS: usize>(
        &self,
        codes: &[[u8; CODES]],
        blocks: &mut [[Lanes; VECTORS]],
        spread: impl Fn([u8; CODES]) -> [u8; CODES_PER_STEP],
    ) {
        for (index, block) in blocks.iter_mut().enumerate() {
            let codes = codes.get(index).copied().map_or([0; CODES_PER_STEP], &spread);
            block[self.vector][self.lane * CODES_PER_STEP..][..CODES_PER_STEP].copy_from_slice(&codes);
        }
    }
}
