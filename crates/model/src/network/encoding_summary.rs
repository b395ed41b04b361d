use std::collections::BTreeSet;

use super::Network;
use crate::{Encoding, Tensor};

impl Network {
    /// How the weights are stored, in a few words for a person: the encodings that occur, `per channel` where they have a
    /// scale for each output, and the share of zeros when it is 1 % or more. For example `int8 per channel, 70 % sparse`.
    pub fn encoding_summary(&self) -> String {
        let encodings: BTreeSet<&'static str> =
            self.layers.iter().map(|layer| name(&layer.weights)).collect();
        let mut summary = encodings.into_iter().collect::<Vec<_>>().join(" + ");
        let weights: usize = self.layers.iter().map(|layer| layer.weights.len()).sum();
        let zeros = 100.0 * (1.0 - self.nonzero_weights() as f64 / weights.max(1) as f64);
        let is_pruned = self.layers.iter().any(|layer| layer.mask.is_some());
        if is_pruned && zeros >= 1.0 {
            summary.push_str(&format!(", {zeros:.0} % sparse"));
        }
        summary
    }
}

fn name(tensor: &Tensor) -> &'static str {
    match &tensor.encoding {
        Encoding::F32(_) => "f32",
        Encoding::F16(_) => "f16",
        Encoding::Bf16(_) => "bf16",
        Encoding::Int8 { scales, .. } if scales.len() > 1 => "int8 per channel",
        Encoding::Int8 { .. } => "int8",
        Encoding::Int4 { scales, .. } if scales.len() > 1 => "int4 per channel",
        Encoding::Int4 { .. } => "int4",
        Encoding::Sparse { .. } => "f32 bitmap",
        Encoding::Codebook { .. } => "codebook",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Dense, Mask};

    fn layer(weights: Tensor, mask: Option<Mask>) -> Dense {
        Dense { weights, bias: vec![0.0; 2], activation: Activation::Relu, mask, input_quantization: None }
    }

    #[test]
    fn the_summary_names_encodings_and_sparsity() {
        let values = [1.0, 0.0, 0.0, 0.0];
        let dense = layer(Tensor::f32(vec![2, 2], vec![1.0; 4]), None);
        assert_eq!(Network { layers: vec![dense.clone()] }.encoding_summary(), "f32");
        let codes = Tensor::int8(vec![2, 2], vec![1, 0, 0, 0], vec![0.1, 0.2]);
        let pruned = layer(codes, Some(Mask::from_values(&values)));
        let expected = "int8 per channel, 75 % sparse";
        assert_eq!(Network { layers: vec![pruned.clone()] }.encoding_summary(), expected);
        assert_eq!(
            Network { layers: vec![dense, pruned] }.encoding_summary(),
            "f32 + int8 per channel, 38 % sparse"
        );
    }
}
