use std::ops::Range;

use leat_model::{Activation, Dense, Mask, Network, Tensor};
use ndarray::{ArrayView2, ArrayViewMut2};

use crate::random::{Purpose, Random};
use crate::recipe::require;
use crate::{Error, Recipe};

/// The most weights and biases that are trained. Training holds about five numbers for each, and a checkpoint of Adam three (192 MiB):
/// two of them, the old one and the one that replaces it, must fit into the bucket of 512 MiB.
const PARAMETERS_MAX: usize = 1 << 24;

/// The weights and biases of a network in one flat vector, layer after layer, weights before bias. Optimisers, clips, masks and
/// checkpoints see the vector; products see the matrices in it.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    pub(crate) layers: Vec<Layer>,
    pub(crate) values: Vec<f32>,
}

/// Where one dense layer lies in the flat vector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Activation,
    /// Row-major `[outputs, inputs]`.
    pub(crate) weights: Range<usize>,
    pub(crate) bias: Range<usize>,
}

impl Parameters {
    /// Fresh parameters: uniform weights with the variance of He (2015) before ReLU and GELU and of Glorot and Bengio (2010)
    /// elsewhere, biases zero.
    ///
    /// Fails when the network would be too large.
    pub(crate) fn initial(inputs: usize, outputs: usize, recipe: &Recipe) -> Result<Self, Error> {
        let hidden = recipe.hidden.iter().map(|&width| (width, recipe.activation));
        let mut parameters = Self::zeros(inputs, hidden.chain([(outputs, Activation::Identity)]))?;
        let mut random = Random::new(recipe.seed, Purpose::Initialisation);
        for layer in &parameters.layers {
            let bound = match layer.activation {
                Activation::Relu | Activation::Gelu => 6.0 / layer.inputs as f32,
                Activation::Identity | Activation::Tanh | Activation::Sigmoid => {
                    6.0 / (layer.inputs + layer.outputs) as f32
                }
            }
            .sqrt();
            parameters.values[layer.weights.clone()].fill_with(|| random.symmetric(bound));
        }
        Ok(parameters)
    }

    /// The parameters of an existing network, whatever their encoding.
    pub(crate) fn of_network(network: &Network) -> Result<Self, Error> {
        let inputs = network.layers.first().map_or(0, Dense::inputs);
        let shapes = network.layers.iter().map(|layer| (layer.outputs(), layer.activation));
        let mut parameters = Self::zeros(inputs, shapes)?;
        for (layer, dense) in parameters.layers.iter().zip(&network.layers) {
            let weights = dense.weights.to_f32();
            let fits = dense.inputs() == layer.inputs
                && weights.len() == layer.weights.len()
                && dense.bias.len() == layer.bias.len();
            if !fits {
                return Err(Error::Mismatch("the layers of the network do not chain".to_owned()));
            }
            parameters.values[layer.weights.clone()].copy_from_slice(&weights);
            parameters.values[layer.bias.clone()].copy_from_slice(&dense.bias);
        }
        Ok(parameters)
    }

    /// The network with these parameters; `masks` holds one entry per layer, or none at all.
    pub(crate) fn to_network(&self, masks: &[Option<Mask>]) -> Network {
        let layers = self.layers.iter().enumerate().map(|(index, layer)| Dense {
            weights: Tensor::f32(
                vec![layer.outputs, layer.inputs],
                self.values[layer.weights.clone()].to_vec(),
            ),
            bias: self.values[layer.bias.clone()].to_vec(),
            activation: layer.activation,
            mask: masks.get(index).cloned().flatten(),
            input_quantization: None,
        });
        Network { layers: layers.collect() }
    }

    /// The weight matrix of a layer, `[outputs, inputs]`.
    pub(crate) fn weights(&self, layer: &Layer) -> ArrayView2<'_, f32> {
        matrix(&self.values[layer.weights.clone()], layer.outputs, layer.inputs)
    }

    /// The width of a row that goes in.
    pub(crate) fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.inputs)
    }

    /// The width of a row that comes out.
    pub(crate) fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.outputs)
    }

    /// Clamps every weight, but no bias, to `-bound..=bound`.
    pub(crate) fn clip(&mut self, bound: f32) {
        for layer in &self.layers {
            for weight in &mut self.values[layer.weights.clone()] {
                *weight = weight.clamp(-bound, bound);
            }
        }
    }

    fn zeros(inputs: usize, shapes: impl Iterator<Item = (usize, Activation)>) -> Result<Self, Error> {
        let mut layers = Vec::new();
        let (mut inputs, mut end) = (inputs, 0);
        for (outputs, activation) in shapes {
            let weights = end..end + inputs * outputs;
            let bias = weights.end..weights.end + outputs;
            end = bias.end;
            layers.push(Layer { inputs, outputs, activation, weights, bias });
            inputs = outputs;
        }
        require(end <= PARAMETERS_MAX, "hidden", || {
            format!("gives a network of {end} parameters, at most {PARAMETERS_MAX} can be trained")
        })?;
        Ok(Self { layers, values: vec![0.0; end] })
    }
}

/// A matrix over a slice of exactly `rows · columns` values.
pub(crate) fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    match ArrayView2::from_shape((rows, columns), values) {
        Ok(view) => view,
        Err(_) => unreachable!("{} values cannot hold a {rows} by {columns} matrix", values.len()),
    }
}

/// See [`matrix`].
pub(crate) fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    match ArrayViewMut2::from_shape((rows, columns), values) {
        Ok(view) => view,
        Err(_) => unreachable!("the caller cuts the slice to a {rows} by {columns} matrix"),
    }
}

#[cfg(test)]
mod tests {
    use leat_model::Task;

    use super::*;

    #[test]
    fn a_network_and_its_parameters_are_the_same_thing() {
        let recipe = Recipe { hidden: vec![5, 4], ..Recipe::for_task(Task::Classification) };
        let parameters = Parameters::initial(3, 2, &recipe).unwrap();
        let network = parameters.to_network(&[]);
        assert_eq!(network.layers.len(), 3);
        let again = Parameters::of_network(&network).unwrap();
        assert_eq!(again.values, parameters.values);
        assert_eq!(again.layers, parameters.layers);
    }

    #[test]
    fn first_weights_have_the_variance_of_their_scheme() {
        for (activation, expected) in [(Activation::Relu, 2.0 / 200.0), (Activation::Tanh, 2.0 / 500.0)] {
            let recipe = Recipe { hidden: vec![300], activation, ..Recipe::for_task(Task::Classification) };
            let parameters = Parameters::initial(200, 2, &recipe).unwrap();
            let weights = &parameters.values[parameters.layers[0].weights.clone()];
            let variance = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
            assert!(
                (variance / expected - 1.0).abs() < 0.05,
                "{activation:?}: {variance} against {expected}"
            );
        }
    }

    #[test]
    fn a_network_too_large_to_train_is_refused_before_it_is_allocated() {
        let recipe = Recipe { hidden: vec![16_384; 16], ..Recipe::for_task(Task::Classification) };
        recipe.validate().unwrap();
        let error = Parameters::initial(10, 2, &recipe).unwrap_err();
        assert!(matches!(error, Error::Recipe { setting: "hidden", .. }), "{error}");
        let just_too_large = Recipe { hidden: vec![4_096, 4_096], ..recipe };
        assert!(Parameters::initial(10, 2, &just_too_large).is_err());
    }

    #[test]
    fn a_clip_bounds_weights_and_spares_biases() {
        let mut parameters = Parameters::initial(3, 2, &Recipe::for_task(Task::Classification)).unwrap();
        parameters.values.fill(5.0);
        parameters.clip(0.5);
        let layer = &parameters.layers[0];
        assert!(parameters.values[layer.weights.clone()].iter().all(|w| *w == 0.5));
        assert!(parameters.values[layer.bias.clone()].iter().all(|b| *b == 5.0));
    }
}
