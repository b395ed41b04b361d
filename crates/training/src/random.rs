use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of random choices for one purpose. The key is the seed and the stream number is the purpose, so that the choices of
/// one purpose never depend on how many were made for another; an epoch can be replayed without those before it.
///
/// Only raw ChaCha words are taken from the library: every distribution is made here, so that an upgrade cannot change a model.
pub(crate) struct Random(ChaCha8Rng);

/// What random numbers are drawn for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The first weights of a network.
    Initialisation,
    /// Which rows are held out.
    HeldOut,
    /// Which rows validate during training.
    Validation,
    /// The order of the rows in an epoch.
    Epoch(u32),
}

impl Random {
    pub(crate) fn new(seed: u64, purpose: Purpose) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(match purpose {
            Purpose::Initialisation => 0,
            Purpose::HeldOut => 1,
            Purpose::Validation => 2,
            Purpose::Epoch(epoch) => (1 << 32) | u64::from(epoch),
        });
        Self(generator)
    }

    /// A number in `-bound..bound`, on a grid of 2^-23 of the bound.
    pub(crate) fn symmetric(&mut self, bound: f32) -> f32 {
        let unit = (self.0.next_u32() >> 8) as f32 * (1.0 / (1 << 23) as f32) - 1.0;
        unit * bound
    }

    /// A number in `0..end` by multiplication and shift (Lemire, 2019); the bias is below 2^-32 for the sizes met here.
    fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.0.next_u64()) * end as u128) >> 64) as usize
    }

    /// Puts the values into random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_value_and_depends_on_the_purpose() {
        let shuffled = |purpose| {
            let mut values: Vec<usize> = (0..100).collect();
            Random::new(7, purpose).shuffle(&mut values);
            values
        };
        let first = shuffled(Purpose::Epoch(1));
        assert_eq!(first, shuffled(Purpose::Epoch(1)));
        assert_ne!(first, shuffled(Purpose::Epoch(2)));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn symmetric_numbers_stay_in_their_bounds_and_average_to_zero() {
        let mut random = Random::new(1, Purpose::Initialisation);
        let values: Vec<f32> = (0..10_000).map(|_| random.symmetric(0.5)).collect();
        assert!(values.iter().all(|value| (-0.5..0.5).contains(value)));
        assert!((values.iter().sum::<f32>() / 10_000.0).abs() < 0.02);
    }
}
