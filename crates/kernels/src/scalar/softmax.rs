use super::activation::exp;

/// How many partial sums there are: element `i` belongs to sum `i % LANES`.
const LANES: usize = 8;

/// `exp(x - max) / Σ exp(x - max)`. An infinite or NaN logit makes every probability NaN.
pub(crate) fn softmax(logits: &[f32], probabilities: &mut [f32]) {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &x| if max > x { max } else { x });
    let mut sums = [0.0; LANES];
    for (index, (probability, &x)) in probabilities.iter_mut().zip(logits).enumerate() {
        *probability = exp(x - max);
        sums[index % LANES] += *probability;
    }
    let total = sum_of_lanes(sums);
    for probability in probabilities {
        *probability /= total;
    }
}

/// The order in which a vector of eight is folded in halves.
pub(crate) fn sum_of_lanes(s: [f32; LANES]) -> f32 {
    ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
}
