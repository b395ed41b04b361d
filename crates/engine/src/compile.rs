use leat_kernels::Kernels;
use leat_model::{Body, Model};
use leat_pauses::pause;

use crate::native::NetworkPlan;
use crate::{Error, Plan};

/// Compiles a model for the best instruction set of this processor.
///
/// The plan takes raw rows: it imputes and standardises as the model says, and applies the softmax that belongs to the task.
/// A layer whose weights are `Int8` and whose input has a quantization runs on integers, every other one on `f32`. Where there is a choice
/// that changes no answer, such as whether small weights are expanded and whether zeros are left out, the ways are measured.
///
/// A thread that works [`leat_pauses::with_pauses`] lets others go first meanwhile. The longest work without a pause is what is measured: a
/// batch of at most 96 rows that goes through one layer, or one of 16 rows through all.
///
/// # Errors
/// When the model is not valid, or holds something that this engine does not run.
pub fn compile(model: &Model) -> Result<Box<dyn Plan>, Error> {
    compile_with(model, Kernels::detect())
}

/// As [`compile`], with the kernels given. Answers are the same bits whatever the kernels.
///
/// # Errors
/// As [`compile`].
pub fn compile_with(model: &Model, kernels: Kernels) -> Result<Box<dyn Plan>, Error> {
    model.validate()?;
    pause();
    match &model.body {
        Body::Network(network) => Ok(Box::new(NetworkPlan::new(model, network, kernels)?)),
        Body::Onnx(_) => Err(Error::Unsupported { what: "ONNX graphs; only native networks".to_owned() }),
    }
}
