use leat_kernels::{Kernels, Output, Preparation, Rows};
use leat_model::{Model, Network, Preprocessing, Task};

use super::BLOCK;
use super::layer::{Layer, Workspace};
use crate::{Batch, Error, Plan, Scratch};

/// A native network, packed.
pub(crate) struct NetworkPlan {
    kernels: Kernels,
    features: usize,
    outputs: usize,
    preparation: Preparation,
    /// Never empty.
    layers: Vec<Layer>,
    task: Task,
    /// Weights of all layers.
    multiply_adds: usize,
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
            multiply_adds: network.layers.iter().map(|layer| layer.weights.len()).sum(),
            stride_max: stride_max.unwrap_or(0),
        })
    }

    /// Runs at most [`BLOCK`] rows.
    fn run_block(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let place =
            |position| Error::NotFinite { row: position / self.features, feature: position % self.features };
        let Scratch { values: [values, values_out], codes: [codes, codes_out], workspace, code_workspace } =
            scratch;
        let (mut values, mut values_out) = (values.as_mut_slice(), values_out.as_mut_slice());
        let (mut codes, mut codes_out) = (codes.as_mut_slice(), codes_out.as_mut_slice());
        // Rows that need no preparation are read where they are.
        let mut raw = None;
        if self.preparation.is_empty() {
            raw = Some(batch.input);
            self.kernels.first_not_finite(batch.input).map_or(Ok(()), |position| Err(place(position)))?;
        } else {
            let prepared = &mut values[..batch.input.len()];
            self.kernels.prepare(&self.preparation, self.features, batch.input, prepared).map_err(place)?;
        }
        let mut stride = self.features;
        for (index, layer) in self.layers.iter().enumerate() {
            let following = self.layers.get(index + 1).and_then(Layer::input_quantization);
            let output = match following {
                Some(quantization) => Output::Codes(codes_out, quantization),
                None => Output::Values(values_out),
            };
            let count = batch.rows;
            match layer {
                Layer::Real(real) => {
                    let input = Rows { values: raw.take().unwrap_or(&*values), stride, count };
                    real.run(self.kernels, input, output, workspace);
                }
                Layer::Integer(integer) => {
                    if index == 0 {
                        let values = &raw.take().unwrap_or(&*values)[..count * self.features];
                        integer.quantize(self.kernels, values, codes);
                        stride = layer.inputs_read();
                    }
                    integer.run(self.kernels, Rows { values: codes, stride, count }, output, code_workspace);
                }
            }
            stride = layer.stride();
            std::mem::swap(&mut values, &mut values_out);
            std::mem::swap(&mut codes, &mut codes_out);
        }
        let count = batch.rows;
        self.answer(batch, Rows { values, stride, count })
    }

    /// Turns what the last layer gave into the answer.
    fn answer(&self, batch: Batch<'_>, last: Rows<'_, f32>) -> Result<(), Error> {
        match self.task {
            Task::Classification => self.kernels.softmax(last, self.outputs, batch.output),
            Task::Regression => {
                let rows = batch.output.chunks_exact_mut(self.outputs).zip(last.values.chunks(last.stride));
                for (answer, last) in rows {
                    // A zero may have either sign, depending on the way it was computed; the sum has none.
                    answer.iter_mut().zip(last).for_each(|(answer, last)| *answer = last + 0.0);
                }
            }
        }
        match self.kernels.first_not_finite(batch.output) {
            None => Ok(()),
            Some(position) => Err(Error::Overflow { row: position / self.outputs }),
        }
    }
}

impl Plan for NetworkPlan {
    fn features(&self) -> usize {
        self.features
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn multiply_adds(&self) -> usize {
        self.multiply_adds
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        batch.check(self.features, self.outputs)?;
        let rows = batch.rows.min(BLOCK);
        let workspaces = self.layers.iter().map(|layer| layer.workspace(rows));
        let Workspace { values, codes } = workspaces.fold(Workspace::default(), Workspace::max);
        scratch.reserve(rows * self.stride_max, values, codes);
        for (start, block) in batch.parts(BLOCK, self) {
            self.run_block(block, scratch).map_err(|error| error.in_block(start))?;
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
        let choices: String = self.layers.iter().filter_map(Layer::describe_choice).collect();
        format!("native {} {arithmetic} {}{widths}{choices}", self.kernels.name(), self.features)
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

#[cfg(test)]
mod tests;
