//! Which version answers requests with a key: always the same one while the weights stay, and when they change, only as many
//! keys move as must.
//!
//! Weighted rendezvous hashing: every version draws a number from the key, the highest answers, and a heavier version draws
//! higher ones (Schindelhauer and Schomaker, Weighted Distributed Hash Tables, 2005). A version draws the same number whatever
//! the others weigh, so a key leaves a version only when that one loses weight or another one gains some.

/// The number that a key comes to, the same on every worker: FNV-1a (Fowler, Noll, Vo, 1991).
pub(crate) fn hash(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The place of the route that answers a key, among routes given as a version and its weight.
pub(crate) fn choose(key: u64, routes: impl Iterator<Item = (u64, u32)>) -> Option<usize> {
    let drawn = routes.enumerate().filter(|(_, (_, weight))| *weight > 0);
    let drawn =
        drawn.map(|(place, (version, weight))| (place, f64::from(weight) / -uniform(key, version).ln()));
    drawn.max_by(|left, right| left.1.total_cmp(&right.1)).map(|(place, _)| place)
}

/// A number between 0 and 1, evenly spread over keys for each version (the finaliser of SplitMix64; Steele, Lea and Flood, 2014).
fn uniform(key: u64, version: u64) -> f64 {
    let mut mixed = key ^ version.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: u32 = 20_000;

    fn choices(routes: &[(u64, u32)]) -> Vec<usize> {
        (0..KEYS).map(|user| choose(hash(&format!("user-{user}")), routes.iter().copied()).unwrap()).collect()
    }

    fn share(choices: &[usize], place: usize) -> f64 {
        choices.iter().filter(|choice| **choice == place).count() as f64 / f64::from(KEYS)
    }

    #[test]
    fn keys_are_shared_by_weight() {
        let choices = choices(&[(1, 70), (2, 25), (3, 5), (4, 0)]);
        for (place, weight) in [(0, 0.70), (1, 0.25), (2, 0.05), (3, 0.0)] {
            assert!((share(&choices, place) - weight).abs() < 0.01, "{place}: {}", share(&choices, place));
        }
    }

    #[test]
    fn a_growing_canary_takes_keys_and_gives_none_back() {
        let (small, large) = (choices(&[(1, 90), (2, 10)]), choices(&[(1, 70), (2, 30)]));
        let came_back =
            small.iter().zip(&large).filter(|(before, after)| **before == 1 && **after == 0).count();
        assert_eq!(came_back, 0);
        assert!((share(&large, 1) - 0.30).abs() < 0.01);
    }

    #[test]
    fn without_weight_nothing_answers() {
        assert_eq!(choose(7, [(1, 0)].into_iter()), None);
        assert_eq!(choose(7, std::iter::empty()), None);
    }
}
