use leat_model::{Model, Task};
use ndarray::Array2;

use crate::loss::{SoftTargets, softmax};
use crate::prepare::TargetScaling;
use crate::recipe::require;
use crate::{Dataset, Error, predict};

/// What a student learns from beside the truth: the outputs of a larger model for the same rows.
///
/// Classes: `loss = alpha · T² · KL(softmax(teacher / T) ‖ softmax(student / T)) + (1 - alpha) · loss of the recipe` (Hinton, Vinyals
/// and Dean, 2015). Regression: `alpha · MSE to the teacher + (1 - alpha) · MSE to the truth`.
#[derive(Clone, Debug, PartialEq)]
pub struct Teacher {
    /// `[rows, outputs]`: for classes logits or logarithms of probabilities, which differ by a constant per row that the softmax
    /// takes away; for regression predictions in the unit of the data.
    pub outputs: Array2<f32>,
    /// `T`, above zero. Higher values show more of how the teacher ranks the wrong classes. Has no effect on regression.
    pub temperature: f32,
    /// The weight of the teacher against the truth, in `0..=1`.
    pub alpha: f32,
}

impl Teacher {
    /// Asks a model, run by the engine, about every row. Any model that can be served can teach.
    pub fn ask(model: &Model, data: &Dataset, temperature: f32, alpha: f32) -> Result<Self, Error> {
        let mut outputs = predict(model, data.rows.view())?;
        if model.task == Task::Classification {
            // A probability that underflowed to zero has a finite logarithm here, far below all others.
            outputs.mapv_inplace(|probability| probability.max(f32::MIN_POSITIVE).ln());
        }
        Ok(Self { outputs, temperature, alpha })
    }

    /// Checks the settings and that there is a finite row of outputs for each row of the data.
    pub(crate) fn validate(&self, data: &Dataset) -> Result<(), Error> {
        let Self { outputs, temperature, alpha } = self;
        require(temperature.is_finite() && *temperature > 0.0, "temperature", || {
            format!("is {temperature}, expected a finite number above 0")
        })?;
        require((0.0..=1.0).contains(alpha), "alpha", || format!("is {alpha}, expected 0 to 1"))?;
        let expected = (data.len(), data.outputs());
        if outputs.dim() != expected {
            let found = outputs.dim();
            return Err(Error::Mismatch(format!(
                "teacher outputs have shape {found:?}, expected {expected:?}"
            )));
        }
        match outputs.rows().into_iter().position(|row| row.iter().any(|value| !value.is_finite())) {
            Some(row) => Err(Error::Prediction { row }),
            None => Ok(()),
        }
    }

    /// The outputs as the loss needs them.
    pub(crate) fn soft_targets(&self, task: Task, scaling: Option<&TargetScaling>) -> SoftTargets {
        let values = match (task, scaling) {
            (Task::Regression, Some(scaling)) => scaling.apply(&self.outputs),
            (Task::Regression, None) => self.outputs.clone(),
            (Task::Classification, _) => {
                let mut values = self.outputs.clone();
                values.rows_mut().into_iter().for_each(|row| softmax(row, self.temperature));
                values
            }
        };
        SoftTargets { values, temperature: self.temperature, alpha: self.alpha }
    }
}
