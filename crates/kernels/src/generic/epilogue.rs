use super::activation;
use super::quantize::Quantizer;
use crate::panel::PANEL;
use crate::simd::Simd;
use crate::{Activation, Output};

/// Where the sums of a tile go.
pub(super) struct Place {
    /// The index of its first output.
    pub(super) start: usize,
    /// The distance between two rows.
    pub(super) stride: usize,
}

/// The sums of a tile as they were stored.
#[inline(always)]
pub(super) fn stored<S: Simd, const ROWS: usize, const PANELS: usize>(
    simd: S,
    place: &Place,
    values: &[f32],
) -> [[S::Real; PANELS]; ROWS] {
    let mut sums = [[simd.splat(0.0); PANELS]; ROWS];
    for (row, sums) in sums.iter_mut().enumerate() {
        let values = &values[place.start + row * place.stride..][..PANELS * PANEL];
        for (sum, values) in sums.iter_mut().zip(values.as_chunks::<PANEL>().0) {
            *sum = simd.load(values);
        }
    }
    sums
}

/// Applies the activation to the sums of a tile and stores them.
#[inline(always)]
pub(super) fn finish<S: Simd, const ROWS: usize, const PANELS: usize>(
    simd: S,
    sums: [[S::Real; PANELS]; ROWS],
    activation: Activation,
    place: &Place,
    output: &mut Output<'_>,
) {
    // Chosen once for all sums; only the short ones are worth a copy of the loop.
    match activation {
        Activation::Identity => store(simd, sums, place, output),
        Activation::Relu => {
            let mut sums = sums;
            for sum in sums.as_flattened_mut() {
                *sum = activation::relu(simd, *sum);
            }
            store(simd, sums, place, output);
        }
        Activation::Tanh | Activation::Sigmoid | Activation::Gelu => {
            let mut sums = sums;
            for sum in sums.as_flattened_mut() {
                *sum = activation::transcendental(simd, activation, *sum);
            }
            store(simd, sums, place, output);
        }
    }
}

#[inline(always)]
fn store<S: Simd, const ROWS: usize, const PANELS: usize>(
    simd: S,
    sums: [[S::Real; PANELS]; ROWS],
    place: &Place,
    output: &mut Output<'_>,
) {
    match output {
        Output::Values(values) => {
            for (row, sums) in sums.into_iter().enumerate() {
                let values = &mut values[place.start + row * place.stride..][..PANELS * PANEL];
                for (sum, values) in sums.into_iter().zip(values.as_chunks_mut::<PANEL>().0) {
                    simd.store(sum, values);
                }
            }
        }
        Output::Codes(codes, quantization) => {
            let quantizer = Quantizer::new(simd, *quantization);
            for (row, sums) in sums.into_iter().enumerate() {
                let codes = &mut codes[place.start + row * place.stride..][..PANELS * PANEL];
                for (sum, codes) in sums.into_iter().zip(codes.as_chunks_mut::<PANEL>().0) {
                    quantizer.store(simd, sum, codes);
                }
            }
        }
    }
}
