use leat_model::Network;

use super::magnitude::{mask_all_out, smallest};
use crate::progress::Reporter;
use crate::{Error, Scope, layers};

/// How many neighbouring weights of one output go together: as many as 8-bit dot products take at once.
const BLOCK: usize = 4;

/// Prunes the blocks with the smallest L1 norms until `rate` of all are zero, counting those that earlier steps pruned. The last block of
/// an output is shorter when the inputs do not fill it.
pub(crate) fn by_blocks(
    mut network: Network,
    rate: f64,
    scope: Scope,
    reporter: &mut Reporter<'_>,
) -> Result<Network, Error> {
    let values = layers::floats(&network);
    let inputs: Vec<usize> = network.layers.iter().map(|layer| layer.inputs().max(1)).collect();
    let norms: Vec<Vec<f32>> =
        values.iter().zip(&inputs).map(|(values, &inputs)| norms(values, inputs)).collect();
    let marks = smallest(&norms, rate, scope);
    let pruned: Vec<Vec<bool>> =
        marks.iter().zip(&inputs).map(|(marks, &inputs)| of_weights(marks, inputs)).collect();
    mask_all_out(&mut network, values, &pruned, reporter)?;
    Ok(network)
}

/// The L1 norm of each block of each output, in their order.
fn norms(weights: &[f32], inputs: usize) -> Vec<f32> {
    let blocks = weights.chunks(inputs).flat_map(|row| row.chunks(BLOCK));
    blocks.map(|block| block.iter().map(|weight| weight.abs()).sum()).collect()
}

/// The marks of blocks as marks of their weights.
fn of_weights(blocks: &[bool], inputs: usize) -> Vec<bool> {
    let rows = blocks.chunks(inputs.div_ceil(BLOCK));
    rows.flat_map(|row| row.iter().flat_map(|&mark| [mark; BLOCK]).take(inputs)).collect()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use leat_model::{Activation, Dense, Mask, Tensor};
    use proptest::prelude::*;

    use super::*;

    fn pruned(weights: Vec<f32>, inputs: usize, rate: f64) -> Vec<f32> {
        let outputs = weights.len() / inputs;
        let layer = Dense {
            weights: Tensor::f32(vec![outputs, inputs], weights),
            bias: vec![0.5; outputs],
            activation: Activation::Relu,
            mask: None,
            input_quantization: None,
        };
        let mut callback = |_| ControlFlow::Continue(());
        let mut reporter = Reporter { step: 0, steps: 1, callback: &mut callback };
        let network = Network { layers: vec![layer] };
        let pruned = by_blocks(network, rate, Scope::PerLayer, &mut reporter).unwrap();
        let values = pruned.layers[0].weights.to_f32();
        assert_eq!(pruned.layers[0].mask.as_ref().unwrap(), &Mask::from_values(&values));
        values
    }

    #[test]
    fn a_block_goes_by_the_sum_of_its_magnitudes_not_by_its_largest() {
        let weights = vec![0.4, -0.4, 0.4, -0.4, 1.0, 0.1, 0.1, 0.1];
        assert_eq!(pruned(weights, 8, 0.5), [0.4, -0.4, 0.4, -0.4, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn blocks_never_reach_from_one_output_to_the_next() {
        // Blocks of four and of one.
        let weights = vec![1.0, 1.0, 1.0, 1.0, 0.5, 2.0, 2.0, 2.0, 2.0, 3.0];
        assert_eq!(pruned(weights, 5, 0.25), [1.0, 1.0, 1.0, 1.0, 0.0, 2.0, 2.0, 2.0, 2.0, 3.0]);
    }

    proptest! {
        #[test]
        fn exactly_the_right_count_of_blocks_goes_and_no_smaller_one_stays(
            (inputs, weights) in (1_usize..14, 1_usize..9).prop_flat_map(|(inputs, outputs)| {
                (Just(inputs), prop::collection::vec(0.1_f32..1.0, inputs * outputs))
            }),
            rate in 0.01_f64..0.99,
        ) {
            let after = pruned(weights.clone(), inputs, rate);
            let blocks = |values: &[f32]| -> Vec<Vec<f32>> {
                values.chunks(inputs).flat_map(|row| row.chunks(BLOCK).map(<[f32]>::to_vec)).collect()
            };
            let (before, after) = (blocks(&weights), blocks(&after));
            let gone: Vec<bool> = after.iter().map(|block| block.iter().all(|&weight| weight == 0.0)).collect();
            let expected = ((rate * before.len() as f64).round_ties_even() as usize).min(before.len() - 1);
            prop_assert_eq!(gone.iter().filter(|&&gone| gone).count(), expected);
            let norm = |block: &[f32]| block.iter().sum::<f32>();
            let of = |wanted: bool| before.iter().zip(&gone).filter(move |(_, gone)| **gone == wanted).map(|(block, _)| norm(block));
            prop_assert!(of(true).fold(0.0, f32::max) <= of(false).fold(f32::INFINITY, f32::min));
            for ((before, after), gone) in before.iter().zip(&after).zip(&gone) {
                prop_assert!(*gone || before == after);
            }
        }
    }
}
