use leat_kernels::{DenseU8Parts, Quantization, SparseF32, SparseU8};
use leat_model::{Activation, ActivationQuantization, Body, Dense, Encoding, Lineage, Signature, Tensor};

use super::super::layer::activation;
use super::super::without_zeros::{Limits, WithoutZeros};
use super::*;

/// Two pruned layers and a dense one; the weights of the first are `size` large.
fn network(size: f32) -> Network {
    let layer = |inputs: usize, outputs: usize, size: f32, step: usize| Dense {
        weights: Tensor::f32(
            vec![outputs, inputs],
            (0..inputs * outputs)
                .map(|at| if at % step == 0 { size * ((at * 7919 % 31) as f32 - 15.0) } else { 0.0 })
                .collect(),
        ),
        bias: (0..outputs).map(|at| at as f32 / 8.0 - 1.0).collect(),
        activation: if outputs == 3 { Activation::Identity } else { Activation::Gelu },
        mask: None,
        input_quantization: None,
    };
    Network { layers: vec![layer(21, 40, size, 9), layer(40, 17, 0.02, 7), layer(17, 3, 0.1, 1)] }
}

fn plan_as_measured(network: &Network) -> NetworkPlan {
    let names = |count: usize| (0..count).map(|index| format!("n{index}")).collect();
    let model = Model {
        name: "pruned".to_owned(),
        task: Task::Regression,
        signature: Signature::of_network(Task::Regression, names(21), names(3)),
        preprocessing: Preprocessing::default(),
        body: Body::Network(network.clone()),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    };
    NetworkPlan::new(&model, network, Kernels::detect()).expect("a valid model")
}

fn plan(network: &Network, rows_min: Option<usize>) -> NetworkPlan {
    let mut plan = plan_as_measured(network);
    for (layer, dense) in plan.layers.iter_mut().zip(&network.layers) {
        let activation = activation(dense.activation);
        match layer {
            Layer::Real(real) => {
                real.sparse = rows_min.map(|rows_min| {
                    let layer = SparseF32::pack(&dense.weights.to_f32(), &dense.bias, activation);
                    WithoutZeros { layer, limits: Limits { rows_min, rest_min: 9 } }
                });
            }
            Layer::Integer(integer) => {
                let Encoding::Int8 { codes, scales } = &dense.weights.encoding else { panic!("codes") };
                let input = Quantization { scale: 0.02, zero_point: 100 };
                let parts = DenseU8Parts { codes, scales, bias: &dense.bias, input, activation };
                integer.sparse = rows_min.map(|rows_min| {
                    let layer = SparseU8::pack(&parts, plan.kernels);
                    WithoutZeros { layer, limits: Limits { rows_min, rest_min: 9 } }
                });
            }
        }
    }
    plan
}

/// The same network on integers.
fn quantized(mut network: Network) -> Network {
    for layer in &mut network.layers {
        let codes = layer.weights.to_f32().iter().map(|weight| (weight * 60.0) as i8).collect();
        layer.weights = Tensor::int8(layer.weights.shape.clone(), codes, vec![1.0 / 60.0]);
        layer.input_quantization = Some(ActivationQuantization { scale: 0.02, zero_point: 100 });
    }
    network
}

fn run(plan: &NetworkPlan, input: &[f32]) -> Result<Vec<u32>, String> {
    let rows = input.len() / 21;
    let mut output = vec![0.0; rows * 3];
    let batch = Batch { rows, input, output: &mut output };
    plan.run(batch, &mut Scratch::default()).map_err(|error| error.to_string())?;
    Ok(output.into_iter().map(f32::to_bits).collect())
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn leaving_zeros_out_changes_no_answer() {
    for network in [network(0.05), quantized(network(0.05))] {
        let (with, without) = (plan(&network, None), plan(&network, Some(1)));
        // Rests of fewer than nine rows are run with their zeros.
        for rows in [1, 15, 16, 17, 24, 25, 33, 47, 96, 97, 130] {
            let values = (0..rows * 21).map(|at| ((at * 104_729) % 997) as f32 / 250.0 - 2.0);
            let input: Vec<f32> = values.collect();
            assert_eq!(run(&without, &input), run(&with, &input), "{rows} rows");
        }
        assert!(without.describe().ends_with(", 21-40 without zeros from 1 rows on, 40-17 without zeros from 1 rows on, 17-3 without zeros from 1 rows on"), "{}", without.describe());
    }
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn what_overflows_with_zeros_overflows_without_them() {
    let network = network(f32::MAX / 64.0);
    let (with, without) = (plan(&network, None), plan(&network, Some(1)));
    let mut input = vec![0.0; 40 * 21];
    assert_eq!(run(&without, &input), run(&with, &input));
    input[39 * 21..].fill(60.0);
    let refused = run(&without, &input);
    assert_eq!(refused, run(&with, &input));
    assert_eq!(
        refused,
        Err("the prediction for row 39 is not a finite number: its features are too large for the model"
            .to_owned())
    );
}

/// A layer on `f32` that gives rows of 4096 bytes, and a layer on integers that takes them.
fn wide() -> NetworkPlan {
    let mut network = network(0.05);
    let layer = |inputs: usize, outputs: usize| Dense {
        weights: Tensor::f32(
            vec![outputs, inputs],
            (0..inputs * outputs).map(|at| ((at * 7919 % 31) as f32 - 15.0) / 40.0).collect(),
        ),
        bias: vec![0.25; outputs],
        activation: Activation::Identity,
        mask: None,
        input_quantization: None,
    };
    network.layers = vec![layer(21, 1024), layer(1024, 3)];
    let mut last = quantized(Network { layers: vec![layer(1024, 3)] });
    network.layers[1] = last.layers.remove(0);
    plan_as_measured(&network)
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn wide_rows_answer_alone_as_they_do_beside_others() {
    let plan = wide();
    let values = (0..130 * 21).map(|at| ((at * 104_729) % 997) as f32 / 250.0 - 2.0);
    let input: Vec<f32> = values.collect();
    let all = run(&plan, &input).expect("predictions");
    for (row, answer) in input.chunks(21).zip(all.chunks(3)) {
        assert_eq!(run(&plan, row).expect("a prediction"), answer);
    }
}

#[test]
#[cfg_attr(miri, ignore = "too much for an interpreter")]
fn the_first_wide_row_that_overflows_is_named() {
    let mut input = vec![0.5; 130 * 21];
    for row in [101, 7, 40] {
        // Of the sign of the weights that they meet in the first output.
        let large = (0..21).map(|at| f32::MAX.copysign((at * 7919 % 31) as f32 - 15.0));
        input[row * 21..][..21].iter_mut().zip(large).for_each(|(value, large)| *value = large);
    }
    let refused = run(&wide(), &input).expect_err("too large");
    assert!(refused.starts_with("the prediction for row 7 is not a finite number"), "{refused}");
}
