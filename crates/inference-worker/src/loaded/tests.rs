use std::sync::Arc;

use leat_contract::Deployment;
use leat_model::{Activation, Dense, Lineage, Network, Preprocessing, Tensor};

use super::*;

/// A model with features `a` and `b` whose prediction is `scale × (a + 2 b)`.
pub(crate) fn tiny_regression(scale: f32) -> Model {
    model(Task::Regression, &["value"], vec![scale, 2.0 * scale])
}

/// A model with features `a` and `b` that says `yes` when `b > a`.
pub(crate) fn tiny_classifier() -> Model {
    model(Task::Classification, &["no", "yes"], vec![1.0, 0.0, 0.0, 1.0])
}

fn model(task: Task, labels: &[&str], weights: Vec<f32>) -> Model {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let layer = Dense {
        weights: Tensor::f32(vec![labels.len(), 2], weights),
        bias: vec![0.0; labels.len()],
        activation: Activation::Identity,
        mask: None,
        input_quantization: None,
    };
    Model {
        name: "tiny".to_owned(),
        task,
        signature: Signature::of_network(task, names(&["a", "b"]), names(labels)),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: vec![layer] }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    }
}

/// A model as it is after loading.
pub(crate) fn loaded(number: u32, content: &Model) -> LoadedVersion {
    let bytes = blob::write(content).unwrap();
    let digest = leat_model::Digest::of(&bytes).to_string().parse().unwrap();
    let route = Route { version: ModelVersion::new(number).unwrap(), digest, weight: 100 };
    build(route, &bytes).unwrap()
}

fn build(route: Route, bytes: &[u8]) -> Result<LoadedVersion, Error> {
    let meant = Meant { model: "tiny".parse().unwrap(), route, pipeline: None };
    LoadedVersion::build(meant, &[bytes], 8)
}

/// [`tiny_regression`] with the number as its scale.
pub(crate) fn tiny_version(number: u32) -> LoadedVersion {
    loaded(number, &tiny_regression(number as f32))
}

/// A deployment of these versions.
pub(crate) fn tiny_deployment(versions: &[Arc<LoadedVersion>], weights: &[u32]) -> Deployment {
    let route = |(version, weight): (&Arc<LoadedVersion>, &u32)| Route {
        version: version.version,
        digest: version.digest.clone(),
        weight: *weight,
    };
    Deployment::new("tiny".parse().unwrap(), versions.iter().zip(weights).map(route).collect())
}

/// Panics when a row begins with -1, else sums its two features.
struct Brittle;

impl Plan for Brittle {
    fn row_ns(&self) -> f64 {
        1.0
    }

    fn bytes(&self) -> usize {
        1
    }

    fn features(&self) -> usize {
        2
    }

    fn outputs(&self) -> usize {
        1
    }

    fn run(&self, batch: Batch<'_>, _: &mut Scratch) -> Result<(), leat_engine::Error> {
        for (row, sum) in batch.input.chunks(2).zip(batch.output) {
            assert!(row[0] != -1.0, "a test asked for a panic");
            *sum = row.iter().sum();
        }
        Ok(())
    }

    fn describe(&self) -> String {
        "brittle".to_owned()
    }
}

/// A version whose plan panics when a row begins with -1.
pub(crate) fn brittle_version() -> LoadedVersion {
    LoadedVersion { plan: Residence::new(Box::new(Brittle)), ..tiny_version(1) }
}

#[test]
fn bytes_that_are_no_model_are_refused_with_the_reason() {
    let bytes = b"not a model";
    let digest = leat_model::Digest::of(bytes).to_string().parse().unwrap();
    let route = Route { version: ModelVersion::FIRST, digest, weight: 100 };
    let error = build(route, bytes).unwrap_err();
    assert!(error.detail().message.starts_with("the model cannot be read: "), "{}", error.detail().message);
}
