use std::array::from_fn;

use leat_pauses::{pause, spans};

use crate::Aligned;
use crate::integer_terms::PAIR_MAX;
use crate::panel::BLOCK;

/// How many blocks further on a partner is looked for. Partners that are near each other find the codes of a row in the cache.
const REACH: usize = 64;

/// So many blocks are gone over between two pauses.
const BLOCKS_AT_ONCE: usize = 64;

/// Couples are worth it when there are at most so many for each block. A couple takes three multiplications where its blocks by themselves
/// take two each.
const COUPLES_PER_BLOCK_MAX: f64 = 0.6;

/// The blocks of each panel by twos, so that the products of both can be summed while they are 16 bits wide: whatever the input codes are,
/// the sum of two neighbouring products of one block and two of the other does not leave them. Which blocks go together differs from panel
/// to panel, and no sum depends on it, since sums of integers are exact in any order.
#[derive(Clone, Debug)]
pub(crate) struct Couples {
    /// The places of the two blocks in a row of codes, each couple as early as its first one. A block that found no partner is there twice, the
    /// second time with weights of zero.
    places: Vec<[u16; 2]>,
    /// Where the couples of each panel begin, and where those of the last one end.
    starts: Vec<usize>,
    /// `[couples of all panels, 2, PANEL, 4]`.
    weights: Aligned<i8>,
}

/// The couples of one panel: where their codes are, and as many weights.
#[derive(Clone, Copy)]
pub(crate) struct CouplesOfPanel<'a> {
    pub(crate) places: &'a [[u16; 2]],
    pub(crate) weights: &'a [[[i8; BLOCK]; 2]],
}

impl Couples {
    /// Puts the blocks of a layer in couples, whose pairs fit (`[panels, blocks, PANEL, 4]`). None when too few find a partner.
    pub(crate) fn of(weights: &[i8], blocks: usize) -> Option<Self> {
        let (all, _) = weights.as_chunks::<BLOCK>();
        let (mut places, mut starts) = (Vec::with_capacity(all.len()), vec![0]);
        for panel in all.chunks_exact(blocks) {
            couple(panel, &mut places);
            starts.push(places.len());
            pause();
        }
        if places.len() as f64 > COUPLES_PER_BLOCK_MAX * all.len() as f64 {
            return None;
        }
        places.shrink_to_fit();
        let weights = Aligned::new(places.len() * 2 * BLOCK);
        let mut couples = Self { places, starts, weights };
        for (index, panel) in all.chunks_exact(blocks).enumerate() {
            couples.order(index, panel);
            pause();
        }
        Some(couples)
    }

    /// Puts the weights of one panel in the order of its couples.
    fn order(&mut self, index: usize, panel: &[[i8; BLOCK]]) {
        let couples = self.starts[index]..self.starts[index + 1];
        let (blocks, _) = self.weights.as_chunks_mut::<BLOCK>();
        let (targets, _) = blocks.as_chunks_mut::<2>();
        let (targets, places) = (&mut targets[couples.clone()], &self.places[couples]);
        for couple in spans(places.len(), BLOCKS_AT_ONCE).flatten() {
            let [first, second] = places[couple];
            targets[couple][0] = panel[usize::from(first)];
            if first != second {
                targets[couple][1] = panel[usize::from(second)];
            }
        }
    }

    /// How many bytes they take.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.places) + size_of_val(&*self.starts) + size_of_val(&*self.weights)
    }

    /// The couples of one panel.
    pub(crate) fn panel(&self, index: usize) -> CouplesOfPanel<'_> {
        let couples = self.starts[index]..self.starts[index + 1];
        let (blocks, _) = self.weights.as_chunks::<BLOCK>();
        let (weights, _) = blocks.as_chunks::<2>();
        CouplesOfPanel { places: &self.places[couples.clone()], weights: &weights[couples] }
    }
}

/// Each block takes the nearest one that is free and fits.
fn couple(panel: &[[i8; BLOCK]], places: &mut Vec<[u16; 2]>) {
    let mut extremes = Vec::with_capacity(panel.len());
    for span in spans(panel.len(), BLOCKS_AT_ONCE) {
        extremes.extend(panel[span].iter().map(Extremes::of));
    }
    let mut is_taken = vec![false; panel.len()];
    for first in spans(panel.len(), BLOCKS_AT_ONCE).flatten() {
        if is_taken[first] {
            continue;
        }
        let mut near = (first + 1..panel.len()).take(REACH);
        let second = near.find(|&second| !is_taken[second] && extremes[first].fit(&extremes[second]));
        let second = second.unwrap_or(first);
        is_taken[second] = true;
        // There are at most `INPUTS_MAX / 4` blocks.
        places.push([first, second].map(|block| block as u16));
    }
}

/// How far the products of each two neighbouring weights of a block can sum to, in either direction and in units of the largest code.
struct Extremes {
    up: [u8; BLOCK / 2],
    down: [u8; BLOCK / 2],
}

impl Extremes {
    fn of(block: &[i8; BLOCK]) -> Self {
        let (pairs, _) = block.as_chunks::<2>();
        Self {
            up: from_fn(|pair| pairs[pair].map(|code| code.max(0).unsigned_abs()).iter().sum()),
            down: from_fn(|pair| {
                let [first, second] = pairs[pair].map(|code| code.min(0).unsigned_abs());
                first.saturating_add(second)
            }),
        }
    }

    /// Whether the sums of both together stay within 16 bits.
    fn fit(&self, other: &Self) -> bool {
        let most = |one: &[u8], two: &[u8]| {
            one.iter().zip(two).fold(0, |most: u8, (one, two)| most.max(one.saturating_add(*two)))
        };
        i32::from(most(&self.up, &other.up).max(most(&self.down, &other.down))) <= PAIR_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block whose first two weights are these.
    fn block(first: i8, second: i8) -> [i8; BLOCK] {
        from_fn(|index| [first, second].get(index).copied().unwrap_or(0))
    }

    fn coupled(panel: &[[i8; BLOCK]]) -> Vec<[u16; 2]> {
        let mut places = Vec::new();
        couple(panel, &mut places);
        places
    }

    #[test]
    fn blocks_go_together_up_to_the_bound_in_either_direction() {
        assert_eq!(coupled(&[block(64, 0), block(0, 64)]), [[0, 1]]);
        assert_eq!(coupled(&[block(64, 0), block(0, 65)]), [[0, 0], [1, 1]]);
        assert_eq!(coupled(&[block(-64, 0), block(0, -64)]), [[0, 1]]);
        assert_eq!(coupled(&[block(-64, -1), block(0, -64)]), [[0, 0], [1, 1]]);
        assert_eq!(coupled(&[block(-128, 127), block(0, 1)]), [[0, 1]]);
        assert_eq!(coupled(&[block(127, 1), block(127, 1)]), [[0, 0], [1, 1]]);
    }

    #[test]
    fn the_nearest_that_fits_is_taken_and_none_twice() {
        let panel = [block(100, 0), block(100, 0), block(10, 0), block(20, 0), block(1, 0)];
        assert_eq!(coupled(&panel), [[0, 2], [1, 3], [4, 4]]);
    }

    #[test]
    fn weights_follow_their_couples_and_lone_ones_meet_zeros() {
        let panels = [[100, 90, 28, 38, 120], [1, 2, 3, 4, 5]].map(|panel| panel.map(|code| block(code, 0)));
        let couples = Couples::of(panels.as_flattened().as_flattened(), 5).expect("worth it");
        let [first, second] = [couples.panel(0), couples.panel(1)];
        assert_eq!(
            (first.places, second.places),
            (&[[0, 2], [1, 3], [4, 4]][..], &[[0, 1], [2, 3], [4, 4]][..])
        );
        let codes =
            |panel: CouplesOfPanel<'_>| panel.weights.as_flattened().iter().map(|block| block[0]).collect();
        let codes: [Vec<i8>; 2] = [codes(first), codes(second)];
        assert_eq!(codes, [[100, 28, 90, 38, 120, 0], [1, 2, 3, 4, 5, 0]]);
    }

    #[test]
    fn too_few_couples_are_not_worth_it() {
        let panel = [block(100, 0), block(90, 0), block(80, 0), block(28, 0)];
        assert!(Couples::of(panel.as_flattened(), 4).is_none());
    }
}
