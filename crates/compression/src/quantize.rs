//! Storing weights as `i8` codes, and choosing the `u8` range of each layer's input.
//!
//! Affine quantization as in Jacob et al. (2018) and ONNX QuantizeLinear: weights symmetric with codes in `-127..=127`,
//! activations affine over a range that holds zero.

mod activations;
mod affine;
mod histogram;
mod weights;

pub use affine::{affine_u8, dequantize_u8, quantize_u8};
pub use histogram::Histogram;
pub use weights::{Codes, Symmetric, by_q};

use leat_model::{Network, Tensor};

use crate::progress::Reporter;
use crate::training_rows::TrainingRows;
use crate::{Error, Quantize, Work};

/// Quantizes the weights of every layer, and with `int8` also calibrates every layer's input.
/// Gives the network and how many codes saturated in each layer.
pub(crate) fn apply(
    mut network: Network,
    quantize: Quantize,
    rows: &TrainingRows<'_>,
    reporter: &mut Reporter<'_>,
) -> Result<(Network, Vec<u64>), Error> {
    let inputs = match quantize {
        Quantize::Int8 { calibration, .. } => {
            Some(activations::calibrate(&network, calibration, rows, reporter)?)
        }
        Quantize::Q(_) => None,
    };
    let total = network.layers.len();
    let mut saturated = Vec::with_capacity(total);
    for (index, layer) in network.layers.iter_mut().enumerate() {
        let values = layer.weights.to_f32();
        let codes = match quantize {
            Quantize::Int8 { calibration, per_channel, reduce_range } => {
                Symmetric { inputs: layer.inputs(), per_channel, calibration, reduce_range }.codes(&values)
            }
            Quantize::Q(q) => by_q(&values, q),
        };
        layer.weights = Tensor::int8(layer.weights.shape.clone(), codes.codes, codes.scales);
        layer.input_quantization = inputs.as_ref().and_then(|inputs| inputs.get(index).copied());
        saturated.push(codes.saturated);
        reporter.report(Work::Weights, index + 1, total)?;
    }
    Ok((network, saturated))
}
