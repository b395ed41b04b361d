//! Whether a list of steps can follow each other, found out before the first one runs.

use leat_model::{Encoding, Network};

use crate::{Error, Quantize, Step};

/// Steps that one call may take.
pub(crate) const STEPS_MAX: usize = 64;

/// Checks every step by itself and against what the weights are stored as when its turn comes.
pub(crate) fn check(network: &Network, steps: &[Step]) -> Result<(), Error> {
    if steps.is_empty() || steps.len() > STEPS_MAX {
        return Err(Error::StepCount { given: steps.len(), max: STEPS_MAX });
    }
    let mut quantized = network.layers.iter().find_map(|layer| quantized_encoding(&layer.weights.encoding));
    for (index, step) in steps.iter().enumerate() {
        let position = index + 1;
        step.validate(position)?;
        quantized = match (step, quantized) {
            (Step::Distil { .. }, _) => None,
            (_, Some(encoding)) => {
                return Err(Error::AlreadyQuantized { position, step: step.to_json()?, encoding });
            }
            (Step::Quantize(Quantize::Int8 { .. } | Quantize::Q(_)), None) => Some("int8"),
            (Step::Clip { .. } | Step::Prune(_) | Step::FineTune { .. }, None) => None,
        };
    }
    Ok(())
}

/// The name of an encoding whose values lie on a grid that a further step would leave; none for float values.
fn quantized_encoding(encoding: &Encoding) -> Option<&'static str> {
    match encoding {
        Encoding::F32(_) | Encoding::F16(_) | Encoding::Bf16(_) | Encoding::Sparse { .. } => None,
        Encoding::Int8 { .. } | Encoding::Int4 { .. } | Encoding::Codebook { .. } => Some(encoding.name()),
    }
}
