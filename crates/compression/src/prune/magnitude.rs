use leat_model::{Dense, Mask, Network};

use crate::progress::Reporter;
use crate::{Error, Scope, Work, layers};

/// The share of its weights that every layer keeps when they are pruned together (or all that the rate keeps, if that is less).
/// Without a floor the magnitudes of one layer can decide that another one vanishes.
const FLOOR: f64 = 0.05;

/// `w ← w · mask(|w| > threshold)` in every layer.
///
/// # Errors
/// [`Error::NothingLeft`] when a layer would lose every weight.
pub(crate) fn by_threshold(
    mut network: Network,
    threshold: f32,
    reporter: &mut Reporter<'_>,
) -> Result<Network, Error> {
    let total = network.layers.len();
    for (index, layer) in network.layers.iter_mut().enumerate() {
        let values = layer.weights.to_f32();
        let pruned: Vec<bool> = values.iter().map(|value| value.abs() <= threshold).collect();
        if pruned.iter().all(|&pruned| pruned) {
            let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            return Err(Error::NothingLeft { layer: index, threshold, largest });
        }
        mask_out(layer, values, &pruned);
        reporter.report(Work::Weights, index + 1, total)?;
    }
    Ok(network)
}

/// Prunes the smallest weights until `rate` of all are zero, counting those that earlier steps pruned.
pub(crate) fn by_rate(
    mut network: Network,
    rate: f64,
    scope: Scope,
    reporter: &mut Reporter<'_>,
) -> Result<Network, Error> {
    let values = layers::floats(&network);
    let pruned = smallest(&values, rate, scope);
    mask_all_out(&mut network, values, &pruned, reporter)?;
    Ok(network)
}

/// Marks the smallest magnitudes.
pub(super) fn smallest(layers: &[Vec<f32>], rate: f64, scope: Scope) -> Vec<Vec<bool>> {
    match scope {
        Scope::PerLayer => smallest_per_layer(layers, rate),
        Scope::Global => smallest_overall(layers, rate),
    }
}

/// Marks in each layer the `round_half_even(rate · weights)` smallest by magnitude (as `torch.nn.utils.prune.l1_unstructured`),
/// but never all of them. Of equal ones those that stand first go first.
pub fn smallest_per_layer(layers: &[Vec<f32>], rate: f64) -> Vec<Vec<bool>> {
    layers
        .iter()
        .map(|values| {
            let count = prune_count(values.len(), rate).min(values.len().saturating_sub(1));
            mark(std::slice::from_ref(values), count, &[0]).pop().unwrap_or_default()
        })
        .collect()
}

/// Marks the `round_half_even(rate · weights)` smallest of all layers together, except that each layer keeps at least 5 % of
/// its weights (or as many as the rate keeps, if that is less) and at least one. Of equal ones those that stand first go first.
pub fn smallest_overall(layers: &[Vec<f32>], rate: f64) -> Vec<Vec<bool>> {
    let floors: Vec<usize> = layers
        .iter()
        .map(|values| {
            let share = FLOOR.min(1.0 - rate);
            ((share * values.len() as f64).round_ties_even() as usize).max(1)
        })
        .collect();
    let all = layers.iter().map(Vec::len).sum();
    mark(layers, prune_count(all, rate), &floors)
}

fn prune_count(weights: usize, rate: f64) -> usize {
    (rate * weights as f64).round_ties_even() as usize
}

/// Marks the `count` smallest magnitudes, in the order of magnitude, layer, position, passing over layers that are down to
/// their floor.
fn mark(layers: &[Vec<f32>], count: usize, floors: &[usize]) -> Vec<Vec<bool>> {
    let mut order: Vec<(f32, usize, usize)> = layers
        .iter()
        .enumerate()
        .flat_map(|(layer, values)| {
            values.iter().enumerate().map(move |(index, value)| (value.abs(), layer, index))
        })
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut marked: Vec<Vec<bool>> = layers.iter().map(|values| vec![false; values.len()]).collect();
    let mut kept: Vec<usize> = layers.iter().map(Vec::len).collect();
    let mut left = count;
    for (_, layer, index) in order {
        if left == 0 {
            break;
        }
        let floor = floors.get(layer).copied().unwrap_or(0);
        if let (Some(kept), Some(mark)) =
            (kept.get_mut(layer), marked.get_mut(layer).and_then(|marks| marks.get_mut(index)))
            && *kept > floor
        {
            *kept -= 1;
            *mark = true;
            left -= 1;
        }
    }
    marked
}

/// Sets the pruned weights of all layers to zero; `values` are their weights.
pub(super) fn mask_all_out(
    network: &mut Network,
    values: Vec<Vec<f32>>,
    pruned: &[Vec<bool>],
    reporter: &mut Reporter<'_>,
) -> Result<(), Error> {
    let total = network.layers.len();
    for (index, ((layer, values), pruned)) in network.layers.iter_mut().zip(values).zip(pruned).enumerate() {
        mask_out(layer, values, pruned);
        reporter.report(Work::Weights, index + 1, total)?;
    }
    Ok(())
}

/// Sets the pruned weights to zero and keeps the mask of the others. What an earlier step pruned stays pruned.
fn mask_out(layer: &mut Dense, mut values: Vec<f32>, pruned: &[bool]) {
    let mut mask = layer.mask.take().unwrap_or_else(|| Mask::filled(values.len()));
    for (index, value) in values.iter_mut().enumerate() {
        let is_pruned = pruned.get(index).copied().unwrap_or(false);
        if is_pruned {
            mask.set(index, false);
        }
        if !mask.get(index) {
            *value = 0.0;
        }
    }
    layer.mask = Some(mask);
    layers::store(layer, values);
}

#[cfg(test)]
mod tests;
