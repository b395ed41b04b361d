use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The 1,797 rows of the test part of UCI "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak, 1998, CC BY 4.0).
pub(super) const DIGITS: &[u8] = include_bytes!("../../data/digits.csv");

const ROWS: usize = 1_000;
const FEATURES: usize = 10;
const SEED: u64 = 20_240_501;
/// Standard deviation of what cannot be learned.
const NOISE: f64 = 0.1;

/// Random rows with ten features between -1 and 1 and a target that depends on some of them, as a CSV file.
pub(super) fn random_rows() -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut text: String = (0..FEATURES).map(|feature| format!("x{feature},")).collect();
    text.push_str("y\n");
    for _ in 0..ROWS {
        let row: Vec<f64> = (0..FEATURES).map(|_| uniform(&mut random)).collect();
        let noise = NOISE * (0..12).map(|_| uniform(&mut random)).sum::<f64>() / 2.0;
        for value in &row {
            text.push_str(&format!("{value:.6},"));
        }
        text.push_str(&format!("{:.6}\n", target(&row) + noise));
    }
    text.into_bytes()
}

/// Linear in some features, bent in others, and indifferent to the rest.
fn target(row: &[f64]) -> f64 {
    let [a, b, c, d, ..] = row else { return 0.0 };
    1.5 * a - 2.0 * b + c * c + (2.0 * d).sin()
}

/// Between -1 and 1.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / f64::from(u32::MAX) * 2.0 - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_rows_are_the_same_every_time() {
        let rows = random_rows();
        assert_eq!(rows, random_rows());
        let lines: Vec<&str> = std::str::from_utf8(&rows).unwrap().lines().collect();
        assert_eq!(lines.len(), ROWS + 1);
        assert!(lines.iter().all(|line| line.split(',').count() == FEATURES + 1));
    }
}
