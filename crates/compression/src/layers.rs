//! Taking the weights of a layer out as floats and putting them back in the smallest float encoding.

use leat_model::{Dense, Network, Tensor};

/// The weights of every layer as floats, row-major.
pub(crate) fn floats(network: &Network) -> Vec<Vec<f32>> {
    network.layers.iter().map(|layer| layer.weights.to_f32()).collect()
}

/// Puts `values` back into a layer of unchanged shape: as dense floats, or as a bitmap with the nonzero ones where the layer
/// was pruned far enough for that to be smaller. Integer inputs no longer fit, so their quantization goes.
pub(crate) fn store(layer: &mut Dense, values: Vec<f32>) {
    let shape = layer.weights.shape.clone();
    layer.input_quantization = None;
    layer.weights = match layer.mask {
        None => Tensor::f32(shape, values),
        Some(_) => {
            let sparse = Tensor::sparse_from(shape.clone(), &values);
            let sparse_is_smaller = sparse.byte_len() < size_of_val(values.as_slice());
            if sparse_is_smaller { sparse } else { Tensor::f32(shape, values) }
        }
    };
}
