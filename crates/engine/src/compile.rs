use leat_kernels::Kernels;
use leat_model::{Body, Model};

use crate::making::Making;
use crate::native::NetworkPlan;
use crate::{Error, Plan};

/// Compiles a model for the best instruction set of this processor.
///
/// The plan takes raw rows: it imputes and standardises as the model says, and applies the softmax that belongs to the task.
/// A layer whose weights are `Int8` and whose input has a quantization runs on integers, every other one on `f32`. Where there is a choice
/// that changes no answer, such as whether small weights are expanded and whether zeros are left out, the ways are measured.
///
/// # Errors
/// When the model is not valid, or holds something that this engine does not run.
pub fn compile(model: &Model) -> Result<Box<dyn Plan>, Error> {
    compile_pausing(model, &|| ())
}

/// As [`compile`], on a thread whose processor is needed for what is more urgent: `pause` is called after each step and may let others go
/// first. A step goes over the model or over a layer once, or runs a few rows through them.
///
/// # Errors
/// As [`compile`].
pub fn compile_pausing(model: &Model, pause: &dyn Fn()) -> Result<Box<dyn Plan>, Error> {
    make(model, Making { kernels: Kernels::detect(), pause })
}

/// As [`compile`], with the kernels given. Answers are the same bits whatever the kernels.
///
/// # Errors
/// As [`compile`].
pub fn compile_with(model: &Model, kernels: Kernels) -> Result<Box<dyn Plan>, Error> {
    make(model, Making { kernels, pause: &|| () })
}

fn make(model: &Model, making: Making<'_>) -> Result<Box<dyn Plan>, Error> {
    model.validate()?;
    (making.pause)();
    match &model.body {
        Body::Network(network) => Ok(Box::new(NetworkPlan::new(model, network, making)?)),
        Body::Onnx(_) => Err(Error::Unsupported { what: "ONNX graphs; only native networks".to_owned() }),
    }
}
