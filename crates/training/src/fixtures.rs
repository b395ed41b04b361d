//! Oracle values from PyTorch and scikit-learn, see `tests/fixtures/make_fixtures.py`.

use leat_model::{Activation, Task};
use ndarray::Array2;
use serde::Deserialize;

use crate::Loss;
use crate::Recipe;
use crate::loss::{Objective, Truth};
use crate::parameters::Parameters;

pub(crate) fn read<T: for<'de> Deserialize<'de>>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn gradients() -> Vec<GradientCase> {
    read(include_str!("../tests/fixtures/gradients.json"))
}

#[derive(Deserialize)]
pub(crate) struct GradientCase {
    pub(crate) activation: Activation,
    pub(crate) loss: String,
    parameters: Vec<f32>,
    inputs: Vec<f32>,
    truth: Vec<f32>,
    pub(crate) value: f64,
    pub(crate) gradient: Vec<f32>,
}

impl GradientCase {
    pub(crate) fn parameters(&self) -> Parameters {
        network(self.activation, &self.parameters)
    }

    pub(crate) fn inputs(&self) -> Array2<f32> {
        rows(&self.inputs, 3)
    }

    pub(crate) fn objective(&self) -> Objective {
        let loss = if self.loss == "cross_entropy" { Loss::CrossEntropy } else { Loss::Mse };
        let truth = match self.loss.as_str() {
            "mse" => Truth::Values(rows(&self.truth, 3)),
            _ => Truth::Classes(self.truth.iter().map(|class| *class as usize).collect()),
        };
        Objective { loss, truth, soft: None }
    }
}

/// The network of the fixtures: 3 inputs, hidden layers of 5 and 4, 3 outputs.
pub(crate) fn network(activation: Activation, values: &[f32]) -> Parameters {
    let recipe = Recipe { hidden: vec![5, 4], activation, ..Recipe::for_task(Task::Classification) };
    let mut parameters = Parameters::initial(3, 3, &recipe).unwrap();
    parameters.values.copy_from_slice(values);
    parameters
}

pub(crate) fn rows(values: &[f32], columns: usize) -> Array2<f32> {
    Array2::from_shape_vec((values.len() / columns, columns), values.to_vec()).unwrap()
}

#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        let distance = (found - expected).abs();
        assert!(
            distance <= tolerance * expected.abs().max(1.0),
            "value {position}: {found}, expected {expected}"
        );
    }
}
