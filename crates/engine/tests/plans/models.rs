//! Models to test with.

use std::num::NonZeroUsize;
use std::sync::Arc;

use leat_engine::{Batch, Error, Kernels, Plan, Scratch, Team, compile_with};
use leat_model::{
    Activation, ActivationQuantization, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task,
    Tensor,
};

/// A model around a network.
pub(crate) fn of(task: Task, network: Network) -> Model {
    let names = |prefix: &str, count: usize| (0..count).map(|index| format!("{prefix}{index}")).collect();
    let signature =
        Signature::of_network(task, names("x", network.features()), names("y", network.outputs()));
    Model {
        name: "tested".to_owned(),
        task,
        signature,
        preprocessing: Preprocessing::default(),
        body: Body::Network(network),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage { crate_version: "0.1.0".to_owned(), ..Lineage::default() },
    }
}

/// A layer on `f32` with weights from a seed.
pub(crate) fn real(inputs: usize, outputs: usize, activation: Activation, seed: u64) -> Dense {
    Dense {
        weights: Tensor::f32(vec![outputs, inputs], values(inputs * outputs, seed)),
        bias: values(outputs, seed + 1),
        activation,
        mask: None,
        input_quantization: None,
    }
}

/// A layer on integers with weights from a seed, one scale per output.
pub(crate) fn integer(inputs: usize, outputs: usize, activation: Activation, seed: u64) -> Dense {
    let codes = values(inputs * outputs, seed).iter().map(|x| (x * 127.0) as i8).collect();
    let scales = values(outputs, seed + 2).iter().map(|x| x.abs() / 100.0 + 1e-4).collect();
    Dense {
        weights: Tensor::int8(vec![outputs, inputs], codes, scales),
        input_quantization: Some(ActivationQuantization { scale: 0.02, zero_point: 101 }),
        ..real(inputs, outputs, activation, seed)
    }
}

/// A network with these widths, made of `layer`s with rectifiers between.
pub(crate) fn network(widths: &[usize], layer: fn(usize, usize, Activation, u64) -> Dense) -> Network {
    let last = widths.len() - 2;
    let activation = |index| if index == last { Activation::Identity } else { Activation::Relu };
    let layers = widths.windows(2).enumerate();
    let layers = layers.map(|(index, pair)| layer(pair[0], pair[1], activation(index), 7 * index as u64 + 1));
    Network { layers: layers.collect() }
}

/// Values in `-1..1` from a linear congruential generator (Knuth's MMIX constants).
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Runs whole rows.
pub(crate) fn run(plan: &dyn Plan, input: &[f32], scratch: &mut Scratch) -> Result<Vec<f32>, Error> {
    let rows = input.len() / plan.features();
    let mut output = vec![0.0; rows * plan.outputs()];
    plan.run(Batch { rows, input, output: &mut output }, scratch)?;
    Ok(output)
}

/// The plans of a model for every set of kernels that this processor runs.
pub(crate) fn plans(model: &Model) -> Vec<Box<dyn Plan>> {
    let compile = |kernels| compile_with(model, kernels).expect("a valid model");
    Kernels::available().into_iter().map(compile).collect()
}

/// A plan that is worth sharing however few rows there are.
pub(crate) struct Worthwhile(pub(crate) Box<dyn Plan>);

impl Plan for Worthwhile {
    fn features(&self) -> usize {
        self.0.features()
    }

    fn outputs(&self) -> usize {
        self.0.outputs()
    }

    fn row_ns(&self) -> f64 {
        1e9
    }

    fn bytes(&self) -> usize {
        self.0.bytes()
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        self.0.run(batch, scratch)
    }

    fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Runs whole rows, shared by so many threads.
pub(crate) fn run_shared(threads: usize, plan: &Arc<dyn Plan>, input: &[f32]) -> Result<Vec<f32>, Error> {
    let team = Team::new(NonZeroUsize::new(threads).expect("at least one")).expect("threads");
    let rows = input.len() / plan.features();
    let mut output = vec![0.0; rows * plan.outputs()];
    team.run(plan, Batch { rows, input, output: &mut output }, &mut Scratch::default())?;
    Ok(output)
}

/// Bits, since `0.0 == -0.0`.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// A layer that keeps the largest tenth of its weights.
pub(crate) fn pruned(layer: Dense) -> Dense {
    let mut values = layer.weights.to_f32();
    let mut sizes: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    let threshold = sizes[sizes.len() * 9 / 10];
    values.iter_mut().filter(|value| value.abs() < threshold).for_each(|value| *value = 0.0);
    Dense { weights: Tensor::sparse_from(layer.weights.shape.clone(), &values), ..layer }
}
