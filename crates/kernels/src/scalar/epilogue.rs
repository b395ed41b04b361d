use super::activation;
use super::quantize::quantize_one;
use crate::{Activation, Output};

/// Applies the activation to the sum of one output and stores it at `index`.
pub(crate) fn finish(sum: f32, activation: Activation, index: usize, output: &mut Output<'_>) {
    let y = activation::apply(activation, sum);
    match output {
        Output::Values(values) => values[index] = y,
        Output::Codes(codes, quantization) => codes[index] = quantize_one(y, *quantization),
    }
}
