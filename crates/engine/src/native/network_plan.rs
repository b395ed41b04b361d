use leat_kernels::{Kernels, Output, Preparation, Quantization, Rows};
use leat_model::{Model, Network, Preprocessing, Standardise, Task};

use super::divided::is_shared;
use super::layer::{Layer, RealInput, Workspace};
use super::{BLOCK, BLOCK_FROM_MEMORY, CACHED_BYTES};
use crate::measure::quickest_ns;
use crate::scratch::Lengths;
use crate::{Activations, ActivationsMut, Batch, Divisible, Error, Piece, Plan, Scratch, Stage};

/// How many rows are run to measure how long one takes: enough for the weights to count as little as in a large batch, few enough for a
/// large network to be ready soon.
const MEASURED_ROWS: usize = 16;

/// Who computes a layer that is worth sharing.
pub(super) type ShareOut<'a> = dyn FnMut(Stage<'_>) + 'a;

/// A native network, packed.
pub(crate) struct NetworkPlan {
    pub(super) kernels: Kernels,
    features: usize,
    outputs: usize,
    preparation: Preparation,
    /// Never empty.
    pub(super) layers: Vec<Layer>,
    task: Task,
    /// See [`Plan::row_ns`].
    row_ns: f64,
    /// The longest row of values between two stages.
    stride_max: usize,
    /// How many rows go through all layers together.
    block: usize,
    /// Whether some layer is worth sharing.
    is_divisible: bool,
}

impl NetworkPlan {
    /// Packs the network of a valid model.
    pub(crate) fn new(model: &Model, network: &Network, kernels: Kernels) -> Result<Self, Error> {
        let layers =
            network.layers.iter().map(|layer| Layer::pack(layer, kernels)).collect::<Result<Vec<_>, _>>()?;
        let stride_max = layers.iter().map(|layer| layer.stride().max(layer.inputs_read())).max();
        let is_cached = layers.iter().map(Layer::bytes).sum::<usize>() <= CACHED_BYTES;
        let mut plan = Self {
            kernels,
            features: network.features(),
            outputs: network.outputs(),
            preparation: preparation(&model.preprocessing),
            is_divisible: layers.iter().any(|layer| is_shared(layer, 1)),
            layers,
            task: model.task,
            row_ns: 0.0,
            stride_max: stride_max.unwrap_or(0),
            block: if is_cached { BLOCK } else { BLOCK_FROM_MEMORY },
        };
        plan.row_ns = plan.measured_row_ns();
        Ok(plan)
    }

    fn measured_row_ns(&self) -> f64 {
        let input = vec![0.0; MEASURED_ROWS * self.features];
        let mut output = vec![0.0; MEASURED_ROWS * self.outputs];
        let mut scratch = Scratch::default();
        let run_ns = quickest_ns(|| {
            let batch = Batch { rows: MEASURED_ROWS, input: &input, output: &mut output };
            // Rows of zeros may be refused where others are not, which takes about as long.
            let _ = self.run(batch, &mut scratch);
        });
        run_ns / MEASURED_ROWS as f64
    }

    /// Runs a batch block by block; layers that are worth sharing are given to `share`, if there is one.
    pub(super) fn run_blocks(
        &self,
        batch: Batch<'_>,
        scratch: &mut Scratch,
        mut share: Option<&mut ShareOut<'_>>,
    ) -> Result<(), Error> {
        batch.check(self.features, self.outputs)?;
        let rows = batch.rows.min(self.block);
        let workspaces = self.layers.iter().map(|layer| layer.workspace(rows));
        let Workspace { values, codes } = workspaces.fold(Workspace::default(), Workspace::max);
        let rows = rows * self.stride_max;
        scratch.reserve(Lengths { rows, workspace: values, code_workspace: codes });
        for (start, block) in batch.parts(self.block, self) {
            let run = block.run_stages(|rows| self.run_block(rows, scratch, share.as_deref_mut()));
            run.map_err(|error| error.in_block(start))?;
        }
        Ok(())
    }

    /// Runs the rows of one block through one layer after the other.
    fn run_block(
        &self,
        batch: Batch<'_>,
        scratch: &mut Scratch,
        mut share: Option<&mut ShareOut<'_>>,
    ) -> Result<(), Error> {
        let place =
            |position| Error::NotFinite { row: position / self.features, feature: position % self.features };
        let Scratch {
            values: [values, values_out],
            codes: [codes, codes_out],
            workspace,
            code_workspace,
            ..
        } = scratch;
        let (mut values, mut values_out) = (&mut **values, &mut **values_out);
        let (mut codes, mut codes_out) = (&mut **codes, &mut **codes_out);
        // Rows that need no preparation are read where they are.
        let mut raw = None;
        if self.preparation.is_empty() {
            raw = Some(batch.input);
            self.kernels.first_not_finite(batch.input).map_or(Ok(()), |position| Err(place(position)))?;
        } else {
            let prepared = &mut values[..batch.input.len()];
            self.kernels.prepare(&self.preparation, self.features, batch.input, prepared).map_err(place)?;
        }
        let mut is_finite = !self.preparation.may_overflow();
        let (mut stride, count) = (self.features, batch.rows);
        let mut has_codes = false;
        for (index, layer) in self.layers.iter().enumerate() {
            let (input, output) = match layer {
                Layer::Real(_) => {
                    let values = raw.take().unwrap_or(&*values);
                    (Activations::Values(values), ActivationsMut::Values(values_out))
                }
                Layer::Integer(integer) => {
                    if !has_codes {
                        let rows = Rows { values: raw.take().unwrap_or(&*values), stride, count };
                        let quantized = integer.quantize(self.kernels, rows, codes);
                        stride = quantized.map_err(|row| Error::Overflow { row })?;
                    }
                    let output = match self.quantization_after(index) {
                        Some(_) => ActivationsMut::Codes(codes_out),
                        None => ActivationsMut::Values(values_out),
                    };
                    (Activations::Codes(codes), output)
                }
            };
            let (input_stride, output_stride) = (stride, layer.stride());
            // Buffers may be longer, and whoever helps copies what it is given.
            let (input, output) = (input.first(count * input_stride), output.first(count * output_stride));
            let piece =
                Piece { layer: index, panels: 0..layer.panels(), rows: count, input_stride, output_stride };
            let stage = Stage { piece, input, output, workspace: code_workspace };
            match share.as_deref_mut().filter(|_| is_shared(layer, count)) {
                Some(share) => share(stage),
                None => self.compute(stage, is_finite, workspace),
            }
            has_codes = layer.input_quantization().is_some();
            is_finite = false;
            stride = output_stride;
            std::mem::swap(&mut values, &mut values_out);
            std::mem::swap(&mut codes, &mut codes_out);
        }
        self.answer(batch, Rows { values, stride, count })
    }

    /// Computes all outputs of a layer.
    fn compute(&self, stage: Stage<'_>, is_finite: bool, workspace: &mut [f32]) {
        let Piece { layer: index, rows: count, input_stride: stride, .. } = stage.piece;
        let output = self.output(index, stage.output);
        match (&self.layers[index], stage.input) {
            (Layer::Real(real), Activations::Values(values)) => {
                let input = RealInput { rows: Rows { values, stride, count }, is_finite };
                real.run(self.kernels, input, output, workspace);
            }
            (Layer::Integer(integer), Activations::Codes(values)) => {
                integer.run(self.kernels, Rows { values, stride, count }, output, stage.workspace);
            }
            _ => unreachable!("a layer is given what it takes"),
        }
    }

    /// Where a layer writes its rows, as the layer that follows takes them.
    pub(super) fn output<'a>(&self, layer: usize, place: ActivationsMut<'a>) -> Output<'a> {
        match (place, self.quantization_after(layer)) {
            (ActivationsMut::Values(values), _) => Output::Values(values),
            (ActivationsMut::Codes(codes), Some(quantization)) => Output::Codes(codes, quantization),
            (ActivationsMut::Codes(_), None) => unreachable!("codes are for a layer that takes them"),
        }
    }

    fn quantization_after(&self, layer: usize) -> Option<Quantization> {
        self.layers.get(layer + 1).and_then(Layer::input_quantization)
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

    fn row_ns(&self) -> f64 {
        self.row_ns
    }

    fn bytes(&self) -> usize {
        let packed: usize = self.layers.iter().map(Layer::bytes).sum();
        size_of::<Self>() + size_of_val(&*self.layers) + packed + self.preparation.bytes()
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        self.run_blocks(batch, scratch, None)
    }

    fn divisible(&self) -> Option<&dyn Divisible> {
        self.is_divisible.then_some(self)
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

/// What has to be done to raw rows. A standardisation that changes nothing is left out.
///
/// None is folded into the weights of the first layer: `fma((x - mean) / scale, w, sum)` rounds the quotient, `fma(x, w / scale, …)` the
/// weight, so that answers would have other bits. That is so even for means of zero and powers of two, where the quotient is exact
/// but for features that it makes subnormal or infinite: those can come in any batch.
fn preparation(preprocessing: &Preprocessing) -> Preparation {
    let mut preparation = Preparation::default();
    if let Some(values) = &preprocessing.impute {
        preparation = preparation.with_impute(values.clone());
    }
    if let Some(standardise) =
        preprocessing.standardise.as_ref().filter(|standardise| !is_identity(standardise))
    {
        preparation = preparation.with_standardise(standardise.mean.clone(), standardise.scale.clone());
    }
    preparation
}

/// Whether each feature stays as it is, a zero with its sign: `-0 - (-0)` would be `+0`.
fn is_identity(standardise: &Standardise) -> bool {
    let is_zero = |mean: &f32| mean.to_bits() == 0;
    standardise.mean.iter().all(is_zero) && standardise.scale.iter().all(|&scale| scale == 1.0)
}

#[cfg(test)]
mod tests;
