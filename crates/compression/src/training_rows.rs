use leat_engine::{Batch, Plan, Scratch};
use leat_model::{
    Body, DataType, Dense, Lineage, Model, Network, Preprocessing, Signature, Task, Tensor, TensorSpec,
};
use ndarray::ArrayView2;

use crate::progress::Reporter;
use crate::{Error, Work};

/// Rows that are looked at; of more rows evenly spread ones are taken. Ranges and means do not get better beyond that.
const ROWS_MAX: usize = 65_536;
/// Rows that are run at once.
const CHUNK: usize = 256;

/// The training rows as a network's layers see them.
pub(crate) struct TrainingRows<'a> {
    pub(crate) preprocessing: &'a Preprocessing,
    /// `[rows, features]`, NaN where a value is missing.
    pub(crate) rows: ArrayView2<'a, f32>,
}

impl TrainingRows<'_> {
    /// How many rows [`TrainingRows::visit_inputs`] runs.
    pub(crate) fn count(&self) -> usize {
        self.rows.nrows().min(ROWS_MAX)
    }

    /// Runs rows through the layers and shows `visit` the input of each: the position of the layer and `[chunk, inputs]` values.
    /// Each layer runs as a plan of its own, so that the activations are those of the engine.
    pub(crate) fn visit_inputs(
        &self,
        network: &Network,
        reporter: &mut Reporter<'_>,
        visit: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        let plans = network.layers.iter().map(single_layer_plan).collect::<Result<Vec<_>, _>>()?;
        let mut scratch = Scratch::default();
        let count = self.count();
        for start in (0..count).step_by(CHUNK) {
            let end = count.min(start + CHUNK);
            let mut values = self.prepared(start..end);
            for (index, plan) in plans.iter().enumerate() {
                let mut outputs = vec![0.0; (end - start) * plan.outputs()];
                plan.run(Batch { rows: end - start, input: &values, output: &mut outputs }, &mut scratch)?;
                visit(index, &values);
                values = outputs;
            }
            reporter.report(Work::Calibration, end, count)?;
        }
        Ok(())
    }

    /// The chosen rows at these positions after preprocessing, row-major.
    fn prepared(&self, positions: std::ops::Range<usize>) -> Vec<f32> {
        let all = self.rows.nrows();
        let count = self.count();
        let mut values = Vec::with_capacity(positions.len() * self.rows.ncols());
        for position in positions {
            // `position < count <= ROWS_MAX`, so the product stays far below the largest `u64`.
            let row = (position as u64 * all as u64 / count as u64) as usize;
            values.extend(
                self.rows.row(row).iter().enumerate().map(|(feature, &value)| self.prepare(feature, value)),
            );
        }
        values
    }

    fn prepare(&self, feature: usize, value: f32) -> f32 {
        let imputed = match &self.preprocessing.impute {
            Some(values) if value.is_nan() => values.get(feature).copied().unwrap_or(value),
            _ => value,
        };
        match &self.preprocessing.standardise {
            None => imputed,
            Some(by) => {
                let mean = by.mean.get(feature).copied().unwrap_or(0.0);
                let scale = by.scale.get(feature).copied().unwrap_or(1.0);
                (imputed - mean) / scale
            }
        }
    }
}

/// A plan that gives the activations of `layer` for its inputs.
fn single_layer_plan(layer: &Dense) -> Result<Box<dyn Plan>, Error> {
    let alone = Dense {
        weights: Tensor::f32(layer.weights.shape.clone(), layer.weights.to_f32()),
        bias: layer.bias.clone(),
        activation: layer.activation,
        mask: None,
        input_quantization: None,
    };
    let names =
        |letter: char, count: usize| (0..count).map(|index| format!("{letter}{index}")).collect::<Vec<_>>();
    let spec = |name: &str, length: usize| TensorSpec {
        name: name.to_owned(),
        datatype: DataType::Fp32,
        shape: vec![-1, length as i64],
    };
    let model = Model {
        name: "layer".to_owned(),
        task: Task::Regression,
        signature: Signature {
            inputs: vec![spec("input", layer.inputs())],
            outputs: vec![spec("prediction", layer.outputs())],
            features: names('x', layer.inputs()),
            labels: names('y', layer.outputs()),
        },
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: vec![alone] }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    };
    Ok(leat_engine::compile(&model)?)
}
