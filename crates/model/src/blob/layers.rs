use serde::{Deserialize, Serialize};

use super::Bin;
use super::weights::Weights;
use crate::{Activation, ActivationQuantization, Dense, Error, Mask, Tensor};

/// One dense layer. The mask has as many bits as there are weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layer<'a> {
    #[serde(borrow)]
    weights: Weights<'a>,
    #[serde(borrow)]
    bias: Bin<'a>,
    activation: Activation,
    #[serde(borrow)]
    mask: Option<Bin<'a>>,
    input_quantization: Option<ActivationQuantization>,
}

impl<'a> From<&'a Dense> for Layer<'a> {
    fn from(layer: &'a Dense) -> Self {
        Self {
            weights: Weights::from(&layer.weights),
            bias: Bin::from_f32(&layer.bias),
            activation: layer.activation,
            mask: layer.mask.as_ref().map(|mask| Bin::borrowed(&mask.bits)),
            input_quantization: layer.input_quantization,
        }
    }
}

impl TryFrom<Layer<'_>> for Dense {
    type Error = Error;

    fn try_from(layer: Layer<'_>) -> Result<Self, Error> {
        let weights: Tensor = layer.weights.try_into().map_err(|error: Error| error.within("weights"))?;
        let len = weights.len();
        Ok(Self {
            bias: layer.bias.f32_at("bias")?,
            activation: layer.activation,
            mask: layer.mask.map(|bits| Mask { len, bits: bits.into_bytes() }),
            input_quantization: layer.input_quantization,
            weights,
        })
    }
}
