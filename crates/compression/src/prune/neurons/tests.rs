use std::ops::ControlFlow;

use leat_model::{Activation, Preprocessing};
use ndarray::{Array2, array};
use proptest::prelude::*;

use super::*;

fn dense(shape: [usize; 2], weights: Vec<f32>, bias: Vec<f32>) -> Dense {
    Dense {
        weights: Tensor::f32(shape.to_vec(), weights),
        bias,
        activation: Activation::Relu,
        mask: None,
        input_quantization: None,
    }
}

fn removed(network: Network, rate: f64, rows: &Array2<f32>) -> Network {
    let preprocessing = Preprocessing::default();
    let rows = TrainingRows { preprocessing: &preprocessing, rows: rows.view() };
    let mut callback = |_| ControlFlow::Continue(());
    remove(network, rate, &rows, &mut Reporter { step: 0, steps: 1, callback: &mut callback }).unwrap()
}

/// What the network gives, by plain loops.
fn run(network: &Network, row: &[f32]) -> Vec<f64> {
    let mut values: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
    for layer in &network.layers {
        let weights = layer.weights.to_f32();
        values = weights
            .chunks_exact(layer.inputs())
            .zip(&layer.bias)
            .map(|(weights, &bias)| {
                let sum: f64 =
                    weights.iter().zip(&values).map(|(&weight, value)| f64::from(weight) * value).sum();
                (sum + f64::from(bias)).max(0.0)
            })
            .collect();
    }
    values
}

#[test]
fn widths_are_rounded_up_to_eight_from_sixteen_on_where_enough_neurons_go() {
    assert_eq!(kept_width(128, 0.5), 64);
    assert_eq!(kept_width(100, 0.5), 56);
    assert_eq!(kept_width(20, 0.5), 10);
    assert_eq!(kept_width(20, 0.1), 18);
    assert_eq!(kept_width(24, 0.25), 18);
    assert_eq!(kept_width(64, 0.05), 61);
    assert_eq!(kept_width(1, 0.9), 1);
    assert_eq!(kept_width(3, 0.99), 1);
}

#[test]
fn the_neuron_with_the_lowest_score_goes_from_every_tensor_it_touches() {
    let first = dense([3, 2], vec![1.0, 1.0, 0.1, 0.1, 2.0, 2.0], vec![0.0, 0.5, 0.0]);
    let second = dense([2, 3], vec![1.0, 0.2, 3.0, 4.0, 0.4, 5.0], vec![0.0, 1.0]);
    let rows = array![[1.0, 1.0], [2.0, 2.0]];
    let result = removed(Network { layers: vec![first, second] }, 0.34, &rows);
    assert_eq!(result.layers[0].weights.to_f32(), [1.0, 1.0, 2.0, 2.0]);
    assert_eq!(result.layers[0].bias, [0.0, 0.0]);
    assert_eq!(result.layers[1].weights.shape, [2, 2]);
    assert_eq!(result.layers[1].weights.to_f32(), [1.0, 3.0, 4.0, 5.0]);
    // The removed neuron gave 0.7 and 0.9, so 0.8 on average.
    let expected = [0.2 * 0.8, 1.0 + 0.4 * 0.8];
    for (bias, expected) in result.layers[1].bias.iter().zip(expected) {
        assert!((f64::from(*bias) - expected).abs() < 1e-6, "{bias} {expected}");
    }
}

#[test]
fn masks_shrink_with_their_layers() {
    let mut first = dense([2, 2], vec![1.0, 0.0, 0.1, 0.1], vec![0.0, 0.0]);
    first.mask = Some(Mask::from_values(&[1.0, 0.0, 1.0, 1.0]));
    let mut second = dense([2, 2], vec![1.0, 0.1, 0.0, 0.1], vec![0.0, 0.0]);
    second.mask = Some(Mask::from_values(&[1.0, 1.0, 0.0, 1.0]));
    let result = removed(Network { layers: vec![first, second] }, 0.5, &array![[1.0, 1.0]]);
    assert_eq!(result.layers[0].mask, Some(Mask::from_values(&[1.0, 0.0])));
    assert_eq!(result.layers[1].mask, Some(Mask::from_values(&[1.0, 0.0])));
}

#[test]
fn a_network_without_a_hidden_layer_is_refused() {
    let preprocessing = Preprocessing::default();
    let rows = array![[1.0_f32]];
    let rows = TrainingRows { preprocessing: &preprocessing, rows: rows.view() };
    let mut callback = |_| ControlFlow::Continue(());
    let network = Network { layers: vec![dense([1, 1], vec![1.0], vec![0.0])] };
    let result = remove(network, 0.5, &rows, &mut Reporter { step: 0, steps: 1, callback: &mut callback });
    assert!(matches!(result, Err(Error::NoHiddenLayer)));
}

#[test]
fn a_rate_that_removes_nothing_is_refused() {
    let preprocessing = Preprocessing::default();
    let rows = array![[1.0_f32]];
    let rows = TrainingRows { preprocessing: &preprocessing, rows: rows.view() };
    let mut callback = |_| ControlFlow::Continue(());
    let layers = vec![dense([2, 1], vec![1.0, 2.0], vec![0.0; 2]), dense([1, 2], vec![1.0, 2.0], vec![0.0])];
    let mut reporter = Reporter { step: 0, steps: 1, callback: &mut callback };
    let error = remove(Network { layers }, 0.1, &rows, &mut reporter).unwrap_err();
    assert_eq!(error.to_string(), "rate 0.1 removes no neuron of hidden layers of [2]: choose a larger one");
}

/// The compensation is summed in `f64` and rounded once to `f32`.
const TOLERANCE: f64 = 1e-5;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn removing_a_dead_neuron_leaves_the_outputs_as_they_were(
        weights in prop::collection::vec(0.5_f32..1.0, 4 * 3 + 2 * 4),
        constant in -2_f32..0.4,
        dead in 0_usize..4,
        values in prop::collection::vec(-3_f32..3.0, 5 * 3),
    ) {
        let mut first = dense([4, 3], weights[..12].to_vec(), vec![0.1, -0.2, 0.3, 0.0]);
        let second = dense([2, 4], weights[12..].to_vec(), vec![0.05, -0.05]);
        // A neuron without incoming weights gives relu(bias) for every row.
        if let leat_model::Encoding::F32(values) = &mut first.weights.encoding {
            values[dead * 3..][..3].fill(0.0);
        }
        first.bias[dead] = constant.max(-0.4);
        let network = Network { layers: vec![first, second] };
        let rows = Array2::from_shape_vec((5, 3), values).unwrap();
        let result = removed(network.clone(), 0.25, &rows);
        prop_assert_eq!(result.layers[0].outputs(), 3);
        for row in rows.rows() {
            let row = row.to_vec();
            for (before, after) in run(&network, &row).iter().zip(run(&result, &row)) {
                prop_assert!((before - after).abs() <= TOLERANCE * before.abs().max(1.0), "{} {}", before, after);
            }
        }
    }
}
