use leat_model::{Activation, Encoding, Tensor};
use proptest::prelude::*;

use super::*;

fn network(weights: Vec<Vec<f32>>) -> Network {
    let layers = weights.into_iter().map(|values| Dense {
        weights: Tensor::f32(vec![1, values.len()], values),
        bias: vec![0.5],
        activation: Activation::Relu,
        mask: None,
        input_quantization: None,
    });
    Network { layers: layers.collect() }
}

fn quietly<T>(work: impl FnOnce(&mut Reporter<'_>) -> T) -> T {
    let mut callback = |_| std::ops::ControlFlow::Continue(());
    work(&mut Reporter { step: 0, steps: 1, callback: &mut callback })
}

#[test]
fn a_threshold_keeps_only_what_is_strictly_larger() {
    let pruned =
        quietly(|reporter| by_threshold(network(vec![vec![0.5, -0.5, 0.6, -0.7, 0.0]]), 0.5, reporter))
            .unwrap();
    assert_eq!(pruned.layers[0].weights.to_f32(), [0.0, 0.0, 0.6, -0.7, 0.0]);
    assert_eq!(pruned.layers[0].mask.as_ref().unwrap().count_ones(), 2);
    assert_eq!(pruned.layers[0].bias, [0.5]);
}

#[test]
fn a_threshold_above_every_weight_is_refused_with_the_largest() {
    let error = quietly(|reporter| by_threshold(network(vec![vec![0.5], vec![0.25, -0.3]]), 0.4, reporter))
        .unwrap_err();
    assert!(matches!(error, Error::NothingLeft { layer: 1, largest: 0.3, .. }), "{error}");
}

#[test]
fn ties_go_in_the_order_of_position() {
    let marks = smallest_per_layer(&[vec![1.0, -1.0, 1.0, 1.0, 0.5]], 0.6);
    assert_eq!(marks, [[true, true, false, false, true]]);
    let marks = smallest_overall(&[vec![1.0, 1.0], vec![-1.0, 1.0]], 0.5);
    assert_eq!(marks, [[true, false], [true, false]], "each layer keeps at least one weight");
}

#[test]
fn a_layer_of_small_weights_keeps_its_floor() {
    let small: Vec<f32> = (1..=100).map(|i| i as f32 * 1e-6).collect();
    let large: Vec<f32> = (1..=100).map(|i| i as f32).collect();
    let marks = smallest_overall(&[small, large], 0.5);
    let kept: Vec<usize> = marks.iter().map(|marks| marks.iter().filter(|&&mark| !mark).count()).collect();
    assert_eq!(kept, [5, 95]);
}

#[test]
fn a_sparse_result_is_stored_sparse_and_a_dense_one_is_not() {
    let values: Vec<f32> = (1..=200).map(|i| i as f32).collect();
    let halved =
        quietly(|reporter| by_rate(network(vec![values.clone()]), 0.5, Scope::PerLayer, reporter)).unwrap();
    assert!(matches!(halved.layers[0].weights.encoding, Encoding::Sparse { .. }));
    assert!(halved.layers[0].weights.byte_len() < 200 * 4 * 6 / 10);
    let touched =
        quietly(|reporter| by_rate(network(vec![values]), 0.005, Scope::PerLayer, reporter)).unwrap();
    assert!(matches!(touched.layers[0].weights.encoding, Encoding::F32(_)));
    assert_eq!(touched.layers[0].mask.as_ref().unwrap().count_ones(), 199);
}

#[test]
fn a_second_pruning_counts_what_the_first_removed() {
    let values: Vec<f32> = (1..=100).map(|i| i as f32).collect();
    let once = quietly(|reporter| by_rate(network(vec![values]), 0.4, Scope::PerLayer, reporter)).unwrap();
    let twice = quietly(|reporter| by_rate(once, 0.6, Scope::Global, reporter)).unwrap();
    assert_eq!(twice.layers[0].mask.as_ref().unwrap().count_ones(), 40);
}

fn some_layers() -> impl Strategy<Value = Vec<Vec<f32>>> {
    // Few distinct values, so that ties are common.
    let weight = prop_oneof![-1_f32..1.0, (-3_i8..=3).prop_map(f32::from)];
    prop::collection::vec(prop::collection::vec(weight, 1..120), 1..4)
}

proptest! {
    #[test]
    fn exactly_the_right_count_goes_and_nothing_smaller_stays(layers in some_layers(), rate in 0.01_f64..0.99) {
        for (values, marks) in layers.iter().zip(smallest_per_layer(&layers, rate)) {
            let count = marks.iter().filter(|&&mark| mark).count();
            prop_assert_eq!(count, ((rate * values.len() as f64).round_ties_even() as usize).min(values.len() - 1));
            let magnitudes = |wanted: bool| values.iter().zip(&marks).filter(move |(_, mark)| **mark == wanted).map(|(value, _)| value.abs());
            prop_assert!(magnitudes(true).fold(0.0, f32::max) <= magnitudes(false).fold(f32::INFINITY, f32::min));
        }
    }

    #[test]
    fn global_pruning_removes_the_right_count_and_keeps_the_floors(layers in some_layers(), rate in 0.01_f64..0.94) {
        let all: usize = layers.iter().map(Vec::len).sum();
        let marks = smallest_overall(&layers, rate);
        let removed: usize = marks.iter().flatten().filter(|&&mark| mark).count();
        let floors: usize = layers.iter().map(|values| ((0.05 * values.len() as f64).round_ties_even() as usize).max(1)).sum();
        prop_assert_eq!(removed, prune_count(all, rate).min(all - floors));
        for (values, marks) in layers.iter().zip(&marks) {
            prop_assert!(marks.iter().filter(|&&mark| !mark).count() >= ((0.05 * values.len() as f64).round_ties_even() as usize).max(1));
        }
    }

    #[test]
    fn masked_weights_are_exactly_the_old_ones_or_zero(layers in some_layers(), rate in 0.01_f64..0.99) {
        let pruned = quietly(|reporter| by_rate(network(layers.clone()), rate, Scope::Global, reporter)).unwrap();
        for (old, layer) in layers.iter().zip(&pruned.layers) {
            let mask = layer.mask.as_ref().unwrap();
            for (index, (old, new)) in old.iter().zip(layer.weights.to_f32()).enumerate() {
                let expected = if mask.get(index) { *old } else { 0.0 };
                prop_assert_eq!(new, expected);
            }
        }
    }
}
