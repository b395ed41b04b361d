use leat_kernels::{Kernels, Output, Preparation, Rows};
use leat_model::{Model, Network, Preprocessing, Task};

use super::layer::Layer;
use crate::{Batch, Error, Plan, Scratch};

/// How many rows go through all layers together. Enough to reuse each panel of weights many times, few enough that the rows
/// between two layers stay in the cache; a multiple of the tiles' rows.
const BLOCK: usize = 96;

/// A native network, packed.
pub(crate) struct NetworkPlan {
    kernels: Kernels,
    features: usize,
    outputs: usize,
    preparation: Preparation,
    /// Never empty.
    layers: Vec<Layer>,
    task: Task,
    /// The longest row of values between two stages.
    stride_max: usize,
}

impl NetworkPlan {
    /// Packs the network of a valid model.
    pub(crate) fn new(model: &Model, network: &Network, kernels: Kernels) -> Result<Self, Error> {
        let pack = |layer| Layer::pack(layer, kernels);
        let layers = network.layers.iter().map(pack).collect::<Result<Vec<_>, _>>()?;
        let stride_max = layers.iter().map(|layer| layer.stride().max(layer.inputs_read())).max();
        Ok(Self {
            kernels,
            features: network.features(),
            outputs: network.outputs(),
            preparation: preparation(&model.preprocessing),
            layers,
            task: model.task,
            stride_max: stride_max.unwrap_or(0),
        })
    }

    /// Runs at most [`BLOCK`] rows.
    fn run_block(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        self.prepare(&batch, scratch)?;
        let mut stride = self.features;
        for (index, layer) in self.layers.iter().enumerate() {
            let following = self.layers.get(index + 1).and_then(Layer::input_quantization);
            let [values, values_out] = &mut scratch.values;
            let [codes, codes_out] = &mut scratch.codes;
            let output = match following {
                Some(quantization) => Output::Codes(codes_out, quantization),
                None => Output::Values(values_out),
            };
            match layer {
                Layer::Real(layer) => {
                    self.kernels.dense_f32(layer, Rows { values, stride, count: batch.rows }, output);
                }
                Layer::Integer(layer, _) => {
                    let stride = if index == 0 { layer.padded_inputs() } else { stride };
                    self.kernels.dense_u8(layer, Rows { values: codes, stride, count: batch.rows }, output);
                }
            }
            stride = layer.stride();
            scratch.values.swap(0, 1);
            scratch.codes.swap(0, 1);
        }
        self.answer(batch.output, &scratch.values[0], stride)
    }

    /// Prepares raw rows for the first layer.
    fn prepare(&self, batch: &Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let raw = batch.input.chunks_exact(self.features);
        let prepared = scratch.values[0].chunks_exact_mut(self.features);
        for (row, (raw, prepared)) in raw.zip(prepared).enumerate() {
            self.kernels
                .prepare(&self.preparation, raw, prepared)
                .map_err(|feature| Error::NotFinite { row, feature })?;
        }
        let Some((first, quantization)) =
            self.layers.first().and_then(|first| Some((first, first.input_quantization()?)))
        else {
            return Ok(());
        };
        let prepared = scratch.values[0].chunks_exact(self.features);
        let codes = scratch.codes[0].chunks_exact_mut(first.inputs_read());
        for (prepared, codes) in prepared.zip(codes).take(batch.rows) {
            self.kernels.quantize(prepared, quantization, &mut codes[..self.features]);
        }
        Ok(())
    }

    /// Turns what the last layer gave into the answer.
    fn answer(&self, output: &mut [f32], last: &[f32], stride: usize) -> Result<(), Error> {
        let rows = output.chunks_exact_mut(self.outputs).zip(last.chunks_exact(stride));
        for (row, (answer, last)) in rows.enumerate() {
            let last = &last[..self.outputs];
            match self.task {
                Task::Classification => self.kernels.softmax(last, answer),
                Task::Regression => answer.copy_from_slice(last),
            }
            if !answer.iter().all(|value| value.is_finite()) {
                return Err(Error::Overflow { row });
            }
        }
        Ok(())
    }
}

impl Plan for NetworkPlan {
    fn features(&self) -> usize {
        self.features
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        batch.check(self.features, self.outputs)?;
        let len = batch.rows.min(BLOCK) * self.stride_max;
        scratch.reserve(len, len);
        let input = batch.input.chunks(BLOCK * self.features);
        let output = batch.output.chunks_mut(BLOCK * self.outputs);
        for (block, (input, output)) in input.zip(output).enumerate() {
            let rows = input.len() / self.features;
            self.run_block(Batch { rows, input, output }, scratch)
                .map_err(|error| error.in_block(block * BLOCK))?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let integer = self.layers.iter().filter(|layer| layer.input_quantization().is_some()).count();
        let arithmetic = match integer {
            0 => "f32",
            count if count == self.layers.len() => "int8",
            _ => "int8+f32",
        };
        let widths = self.layers.iter().map(|layer| format!("-{}", layer.outputs())).collect::<String>();
        format!("native {} {arithmetic} {}{widths}", self.kernels.name(), self.features)
    }
}

fn preparation(preprocessing: &Preprocessing) -> Preparation {
    let mut preparation = Preparation::default();
    if let Some(values) = &preprocessing.impute {
        preparation = preparation.with_impute(values.clone());
    }
    if let Some(standardise) = &preprocessing.standardise {
        preparation = preparation.with_standardise(standardise.mean.clone(), standardise.scale.clone());
    }
    preparation
}
