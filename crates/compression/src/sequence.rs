//! Whether a list of steps can follow each other, found out before the first one runs.

use leat_model::{Dense, Encoding, Network};

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
        if let Step::Distil { hidden, .. } = step {
            check_student(network, hidden, position)?;
        }
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

/// A student as large as its teacher compresses nothing.
fn check_student(teacher: &Network, hidden: &[usize], position: usize) -> Result<(), Error> {
    let widths = [teacher.layers.first().map_or(0, Dense::inputs)]
        .into_iter()
        .chain(hidden.iter().copied())
        .chain([teacher.outputs()]);
    let widths: Vec<u64> = widths.map(|width| width as u64).collect();
    let layer =
        |pair: &[u64]| pair.first().zip(pair.last()).map_or(0, |(inputs, outputs)| (inputs + 1) * outputs);
    let (student, teacher) = (widths.windows(2).map(layer).sum(), teacher.parameters());
    if student >= teacher {
        return Err(Error::StudentNotSmaller { position, student, teacher });
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
