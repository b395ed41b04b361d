//! Small models whose answers are known without running them.

use leat_model::{
    Activation, Body, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, Tensor, blob,
};

/// Features `a` and `b`, one prediction: `scale × (a + 2 b)`.
pub(crate) fn regression(scale: f32) -> Vec<u8> {
    blob::write(&regression_model(scale)).unwrap()
}

/// The same model, which puts 10 in the place of a missing `a` and 20 in that of a missing `b`.
pub(crate) fn imputing() -> Vec<u8> {
    let preprocessing = Preprocessing { impute: Some(vec![10.0, 20.0]), standardise: None };
    blob::write(&Model { preprocessing, ..regression_model(1.0) }).unwrap()
}

/// Features `a` and `b`, classes `no` and `yes` with the softmax of `a` and `b`.
pub(crate) fn classifier() -> Vec<u8> {
    blob::write(&model(Task::Classification, &["a", "b"], &["no", "yes"], vec![vec![1.0, 0.0, 0.0, 1.0]]))
        .unwrap()
}

/// `width` features through square layers of that width: a model that takes its time.
pub(crate) fn slow(width: usize, layers: usize) -> Vec<u8> {
    let names: Vec<String> = (0..width).map(|index| format!("f{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let layer = vec![1.0 / width as f32; width * width];
    blob::write(&model(Task::Regression, &names, &names, vec![layer; layers])).unwrap()
}

fn regression_model(scale: f32) -> Model {
    model(Task::Regression, &["a", "b"], &["value"], vec![vec![scale, 2.0 * scale]])
}

fn model(task: Task, features: &[&str], labels: &[&str], weights: Vec<Vec<f32>>) -> Model {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let mut inputs = features.len();
    let layers = weights.into_iter().map(|weights| {
        let outputs = weights.len() / inputs;
        let layer = Dense {
            weights: Tensor::f32(vec![outputs, inputs], weights),
            bias: vec![0.0; outputs],
            activation: Activation::Identity,
            mask: None,
            input_quantization: None,
        };
        inputs = outputs;
        layer
    });
    Model {
        name: "tiny".to_owned(),
        task,
        signature: Signature::of_network(task, owned(features), owned(labels)),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: layers.collect() }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    }
}
