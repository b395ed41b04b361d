use leat_model::{Dense, Mask, Network, Tensor};

use crate::progress::Reporter;
use crate::training_rows::TrainingRows;
use crate::{Error, Work, layers};

/// Kept widths of at least twice this are rounded up to a multiple of it, the `f32` lanes of one AVX2 register: a ragged width
/// costs as much time as the next full one, so the neurons that fill it are kept. Where that would keep more than half of what was to
/// go, as in narrow layers, nothing is rounded.
const LANES: usize = 8;

/// How many of `width` neurons are kept at `rate`: `width - round_half_even(rate · width)`, rounded up to a multiple of 8 from 16
/// on unless that keeps more than half of what was to go; at least 1.
pub fn kept_width(width: usize, rate: f64) -> usize {
    let removed = (rate * width as f64).round_ties_even() as usize;
    let kept = width.saturating_sub(removed).max(1);
    let rounded = kept.next_multiple_of(LANES);
    let enough_go = 2 * width.saturating_sub(rounded) >= width - kept;
    if kept >= 2 * LANES && rounded < width && enough_go { rounded } else { kept }
}

/// The score of each neuron between two layers, `I_j = (‖W1[j,:]‖₁ + |b1_j|) / mean + ‖W2[:,j]‖₁ / mean`, where each mean is that of
/// its term over the neurons of the layer (Li et al., 2017; coupled as in DepGraph, Fang et al., 2023).
///
/// `incoming` is `[neurons, inputs]`, `outgoing` is `[outputs, neurons]`, both row-major.
pub fn scores(incoming: &[f32], bias: &[f32], outgoing: &[f32]) -> Vec<f64> {
    let neurons = bias.len().max(1);
    let inputs = (incoming.len() / neurons).max(1);
    let arriving: Vec<f64> = incoming
        .chunks_exact(inputs)
        .zip(bias)
        .map(|(row, &bias)| row.iter().map(|&weight| magnitude(weight)).sum::<f64>() + magnitude(bias))
        .collect();
    let mut leaving = vec![0.0; bias.len()];
    for row in outgoing.chunks_exact(neurons) {
        for (sum, &weight) in leaving.iter_mut().zip(row) {
            *sum += magnitude(weight);
        }
    }
    by_mean(&arriving).zip(by_mean(&leaving)).map(|(arriving, leaving)| arriving + leaving).collect()
}

fn magnitude(value: f32) -> f64 {
    f64::from(value.abs())
}

fn by_mean(values: &[f64]) -> impl Iterator<Item = f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let divisor = if mean > 0.0 { mean } else { 1.0 };
    values.iter().map(move |value| value / divisor)
}

/// Removes the neurons with the lowest scores from every hidden layer: row `j` of `W1`, `b1_j` and column `j` of `W2`. What a
/// removed neuron gave on average over the training rows is added to the next bias, `b2 += W2[:,j] · E[a_j]`.
///
/// # Errors
/// [`Error::NoHiddenLayer`]; [`Error::NothingRemoved`] when the rate is less than one neuron of every layer; errors of running the rows; [`Error::Cancelled`].
pub(crate) fn remove(
    network: Network,
    rate: f64,
    rows: &TrainingRows<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<Network, Error> {
    if network.layers.len() < 2 {
        return Err(Error::NoHiddenLayer);
    }
    let means = mean_inputs(&network, rows, reporter)?;
    let mut layers: Vec<Open> = network.layers.into_iter().map(Open::new).collect();
    let keep: Vec<Vec<bool>> = layers
        .windows(2)
        .map(|pair| match pair {
            [first, second] => kept(&scores(&first.weights, &first.dense.bias, &second.weights), rate),
            _ => Vec::new(),
        })
        .collect();
    if keep.iter().flatten().all(|kept| *kept) {
        return Err(Error::NothingRemoved { rate, widths: keep.iter().map(Vec::len).collect() });
    }
    let total = layers.len();
    for (index, layer) in layers.iter_mut().enumerate() {
        if let (Some(keep), Some(means)) =
            (index.checked_sub(1).and_then(|before| keep.get(before)), means.get(index))
        {
            layer.drop_inputs(keep, means);
        }
        if let Some(keep) = keep.get(index) {
            layer.drop_outputs(keep);
        }
        reporter.report(Work::Weights, index + 1, total)?;
    }
    Ok(Network { layers: layers.into_iter().map(Open::close).collect() })
}

/// `E[x]` of the input of every layer over the training rows.
fn mean_inputs(
    network: &Network,
    rows: &TrainingRows<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<Vec<f64>>, Error> {
    let mut sums: Vec<Vec<f64>> = network.layers.iter().map(|layer| vec![0.0; layer.inputs()]).collect();
    rows.visit_inputs(network, reporter, &mut |layer, values| {
        if let Some(sums) = sums.get_mut(layer) {
            for row in values.chunks_exact(sums.len().max(1)) {
                for (sum, &value) in sums.iter_mut().zip(row) {
                    *sum += f64::from(value);
                }
            }
        }
    })?;
    let count = rows.count().max(1) as f64;
    Ok(sums.into_iter().map(|sums| sums.into_iter().map(|sum| sum / count).collect()).collect())
}

/// Marks the neurons with the highest scores; of equal ones those that stand last are kept, as with single weights.
fn kept(scores: &[f64], rate: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| score(scores, a).total_cmp(&score(scores, b)).then(a.cmp(&b)));
    let removed = scores.len() - kept_width(scores.len(), rate).min(scores.len());
    let mut keep = vec![true; scores.len()];
    for index in order.into_iter().take(removed) {
        if let Some(keep) = keep.get_mut(index) {
            *keep = false;
        }
    }
    keep
}

fn score(scores: &[f64], index: usize) -> f64 {
    scores.get(index).copied().unwrap_or(0.0)
}

/// A layer with its weights and mask laid open.
struct Open {
    dense: Dense,
    weights: Vec<f32>,
    alive: Option<Vec<bool>>,
}

impl Open {
    fn new(dense: Dense) -> Self {
        let weights = dense.weights.to_f32();
        let alive = dense.mask.as_ref().map(|mask| (0..weights.len()).map(|index| mask.get(index)).collect());
        Self { dense, weights, alive }
    }

    /// Drops the columns that are not kept and moves their mean contribution into the bias.
    fn drop_inputs(&mut self, keep: &[bool], means: &[f64]) {
        let width = keep.len().max(1);
        for (row, bias) in self.weights.chunks_exact(width).zip(&mut self.dense.bias) {
            let removed = row.iter().zip(means).zip(keep).filter(|(_, keep)| !**keep);
            let moved: f64 = removed.map(|((&weight, &mean), _)| f64::from(weight) * mean).sum();
            *bias = (f64::from(*bias) + moved) as f32;
        }
        self.select(|index| keep.get(index % width).copied().unwrap_or(true));
        set_length(&mut self.dense.weights.shape, 1, keep);
    }

    /// Drops the rows that are not kept, and their biases.
    fn drop_outputs(&mut self, keep: &[bool]) {
        let width = self.dense.inputs().max(1);
        self.select(|index| keep.get(index / width).copied().unwrap_or(true));
        let bias = std::mem::take(&mut self.dense.bias);
        self.dense.bias =
            bias.into_iter().zip(keep).filter_map(|(bias, &keep)| keep.then_some(bias)).collect();
        set_length(&mut self.dense.weights.shape, 0, keep);
    }

    fn select(&mut self, keep: impl Fn(usize) -> bool) {
        self.weights = pick(std::mem::take(&mut self.weights), &keep);
        self.alive = self.alive.take().map(|alive| pick(alive, &keep));
    }

    fn close(self) -> Dense {
        let Self { mut dense, weights, alive } = self;
        dense.mask = alive.map(|alive| {
            let mut mask = Mask { len: alive.len(), bits: vec![0; alive.len().div_ceil(8)] };
            alive.iter().enumerate().for_each(|(index, &alive)| mask.set(index, alive));
            mask
        });
        dense.weights = Tensor::f32(dense.weights.shape, Vec::new());
        layers::store(&mut dense, weights);
        dense
    }
}

fn pick<T>(values: Vec<T>, keep: impl Fn(usize) -> bool) -> Vec<T> {
    values.into_iter().enumerate().filter_map(|(index, value)| keep(index).then_some(value)).collect()
}

fn set_length(shape: &mut [usize], dimension: usize, keep: &[bool]) {
    if let Some(length) = shape.get_mut(dimension) {
        *length = keep.iter().filter(|&&keep| keep).count();
    }
}

#[cfg(test)]
mod tests;
