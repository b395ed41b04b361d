use ndarray::Array2;
use ndarray::linalg::general_mat_mul;

use crate::activation;
use crate::loss::Objective;
use crate::parameters::{Layer, Parameters, matrix, matrix_mut};

/// The most rows that go through the network at once. Larger batches are passed in chunks whose gradients add up, so that a full
/// batch needs no more memory than a small one and the activations stay in the cache.
const CHUNK_ROWS_MAX: usize = 512;

/// The buffers of forward and backward passes, allocated once.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The rows of a chunk, `[CHUNK_ROWS_MAX, inputs]`.
    input: Vec<f32>,
    layers: Vec<LayerBuffers>,
    /// The derivative of the loss by each parameter, laid out like [`Parameters::values`].
    pub(crate) gradient: Vec<f32>,
}

/// One layer's part of a pass, each `[CHUNK_ROWS_MAX, outputs]`.
#[derive(Debug)]
struct LayerBuffers {
    /// `W x + b`.
    sums: Vec<f32>,
    /// `activation(W x + b)`.
    outputs: Vec<f32>,
    /// The derivative of the loss by the outputs, then by the sums.
    slopes: Vec<f32>,
}

impl Workspace {
    /// Buffers for batches of any size; `batch_rows` only keeps them small when batches are small.
    pub(crate) fn new(parameters: &Parameters, batch_rows: usize) -> Self {
        let capacity = batch_rows.clamp(1, CHUNK_ROWS_MAX);
        let buffer = |width: usize| vec![0.0; capacity * width];
        let layers = parameters.layers.iter().map(|layer| LayerBuffers {
            sums: buffer(layer.outputs),
            outputs: buffer(layer.outputs),
            slopes: buffer(layer.outputs),
        });
        Self {
            input: buffer(parameters.inputs()),
            layers: layers.collect(),
            gradient: vec![0.0; parameters.values.len()],
        }
    }

    /// The mean loss over these rows of `inputs`; leaves its derivative in `gradient`.
    pub(crate) fn loss_and_gradient(
        &mut self,
        parameters: &Parameters,
        objective: &Objective,
        inputs: &Array2<f32>,
        rows: &[usize],
    ) -> f64 {
        self.gradient.fill(0.0);
        let mut total = 0.0;
        for chunk in rows.chunks(self.capacity(parameters)) {
            self.forward(parameters, inputs, chunk);
            total += self.measure(parameters, objective, chunk);
            self.backward(parameters, chunk.len(), 1.0 / rows.len() as f32);
        }
        total / rows.len() as f64
    }

    /// The mean loss over these rows.
    pub(crate) fn loss(
        &mut self,
        parameters: &Parameters,
        objective: &Objective,
        inputs: &Array2<f32>,
        rows: &[usize],
    ) -> f64 {
        let mut total = 0.0;
        for chunk in rows.chunks(self.capacity(parameters)) {
            self.forward(parameters, inputs, chunk);
            total += self.measure(parameters, objective, chunk);
        }
        total / rows.len() as f64
    }

    fn capacity(&self, parameters: &Parameters) -> usize {
        self.input.len() / parameters.inputs()
    }

    fn measure(&mut self, parameters: &Parameters, objective: &Objective, rows: &[usize]) -> f64 {
        let width = parameters.outputs();
        let Some(last) = self.layers.last_mut() else { return f64::NAN };
        let cells = rows.len() * width;
        objective.measure(
            rows,
            matrix(&last.outputs[..cells], rows.len(), width),
            matrix_mut(&mut last.slopes[..cells], rows.len(), width),
        )
    }

    fn forward(&mut self, parameters: &Parameters, inputs: &Array2<f32>, rows: &[usize]) {
        let count = rows.len();
        let width = parameters.inputs();
        for (target, &row) in self.input.chunks_exact_mut(width).zip(rows) {
            inputs.row(row).iter().zip(target).for_each(|(value, cell)| *cell = *value);
        }
        let mut previous: &[f32] = &self.input[..count * width];
        for (layer, buffers) in parameters.layers.iter().zip(&mut self.layers) {
            let cells = count * layer.outputs;
            let bias = &parameters.values[layer.bias.clone()];
            for row in buffers.sums[..cells].chunks_exact_mut(layer.outputs) {
                row.copy_from_slice(bias);
            }
            let x = matrix(previous, count, layer.inputs);
            let mut sums = matrix_mut(&mut buffers.sums[..cells], count, layer.outputs);
            general_mat_mul(1.0, &x, &parameters.weights(layer).t(), 1.0, &mut sums);
            activation::apply(layer.activation, &buffers.sums[..cells], &mut buffers.outputs[..cells]);
            previous = &buffers.outputs[..cells];
        }
    }

    /// Adds the derivative of `scale ·` the summed loss of the chunk to the gradient.
    fn backward(&mut self, parameters: &Parameters, count: usize, scale: f32) {
        for (index, layer) in parameters.layers.iter().enumerate().rev() {
            let (before, from_here) = self.layers.split_at_mut(index);
            let Some(buffers) = from_here.first_mut() else { return };
            let cells = count * layer.outputs;
            activation::chain(
                layer.activation,
                &buffers.sums[..cells],
                &buffers.outputs[..cells],
                &mut buffers.slopes[..cells],
            );
            let slopes = &buffers.slopes[..cells];
            let previous = match before.last() {
                Some(below) => &below.outputs[..count * layer.inputs],
                None => &self.input[..count * layer.inputs],
            };
            accumulate(&mut self.gradient, layer, (slopes, scale), previous);
            if let Some(below) = before.last_mut() {
                let slopes = matrix(slopes, count, layer.outputs);
                let mut target = matrix_mut(&mut below.slopes[..count * layer.inputs], count, layer.inputs);
                general_mat_mul(1.0, &slopes, &parameters.weights(layer), 0.0, &mut target);
            }
        }
    }
}

/// Adds to the gradient of one layer: `slopesᵀ · previous` for the weights, column sums of the slopes for the bias, both scaled.
fn accumulate(gradient: &mut [f32], layer: &Layer, (slopes, scale): (&[f32], f32), previous: &[f32]) {
    let count = slopes.len() / layer.outputs;
    let bias = &mut gradient[layer.bias.clone()];
    for row in slopes.chunks_exact(layer.outputs) {
        bias.iter_mut().zip(row).for_each(|(sum, slope)| *sum += scale * slope);
    }
    let slopes = matrix(slopes, count, layer.outputs);
    let previous = matrix(previous, count, layer.inputs);
    let mut weights = matrix_mut(&mut gradient[layer.weights.clone()], layer.outputs, layer.inputs);
    general_mat_mul(scale, &slopes.t(), &previous, 1.0, &mut weights);
}

#[cfg(test)]
mod tests;
