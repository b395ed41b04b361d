use super::activation::exp;
use crate::Rows;
use crate::panel::PANEL;

/// The probabilities of each row of logits.
pub(crate) fn softmax_rows(logits: &Rows<'_, f32>, classes: usize, probabilities: &mut [f32]) {
    for (row, probabilities) in probabilities.chunks_exact_mut(classes).enumerate() {
        softmax(logits.row(row, classes), probabilities);
    }
}

/// `exp(x - max) / Σ exp(x - max)`. An infinite or NaN logit makes every probability NaN.
///
/// There are as many partial sums as a panel is wide: element `i` belongs to sum `i % PANEL`.
fn softmax(logits: &[f32], probabilities: &mut [f32]) {
    let max = logits.iter().fold(f32::NEG_INFINITY, |max, &x| if max > x { max } else { x });
    let mut sums = [0.0; PANEL];
    for (index, (probability, &x)) in probabilities.iter_mut().zip(logits).enumerate() {
        *probability = exp(x - max);
        sums[index % PANEL] += *probability;
    }
    let total = sum_of_lanes(sums);
    for probability in probabilities {
        *probability /= total;
    }
}

/// Folds the partial sums in halves.
fn sum_of_lanes(mut sums: [f32; PANEL]) -> f32 {
    let mut half = PANEL / 2;
    while half > 0 {
        let (low, high) = sums.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        half /= 2;
    }
    sums[0]
}
