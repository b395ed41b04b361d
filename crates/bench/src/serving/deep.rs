//! A model whose rows take long, so that asking for them costs little beside it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_contract::{Encoding, InferRequest, ModelName, Subjects, Tensor, TensorData};
use leat_load::Target;
use leat_model::{Body, Model};

use super::deployment::Deployer;
use super::lane::Lane;
use crate::arguments::LAYERS_MAX;
use crate::shapes::Shape;
use crate::{Error, models};

pub(super) const NAME: &str = "deep";
const WIDTH: usize = 256;
static WIDTHS: [usize; LAYERS_MAX + 1] = [WIDTH; LAYERS_MAX + 1];
/// What weights are multiplied with, so that neither layer after layer grows until it is infinite.
const SMALLER: f32 = 0.125;

/// What is asked of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) layers: usize,
    /// Rows of each request.
    pub(super) rows: usize,
    pub(super) deadline: Option<Duration>,
}

/// Deploys it and gives the lane to it.
///
/// # Errors
/// When the broker or the worker refuses.
pub(super) async fn deploy(digits: &Lane, deployer: &mut Deployer, asked: Asked) -> Result<Lane, Error> {
    let shape = Shape { name: NAME, widths: WIDTHS.get(..=asked.layers).unwrap_or(&WIDTHS) };
    let mut model = models::dense(&shape, None)?;
    make_smaller(&mut model);
    let digest = deployer.store(&model).await?;
    deployer.deploy(NAME, digest).await?;
    let name: ModelName = NAME.parse()?;
    let Target::Nats(target) = &digits.target else {
        return Err(Error::Usage("a worker is asked over NATS".to_owned()));
    };
    let target = Target::Nats(target.with_subject(Subjects::default().infer(&name)));
    Ok(Lane { target, requests: requests(asked)?, ..digits.clone() })
}

fn make_smaller(model: &mut Model) {
    let Body::Network(network) = &mut model.body else { return };
    for layer in &mut network.layers {
        let values = layer.weights.to_f32().into_iter().map(|weight| weight * SMALLER).collect();
        layer.weights = leat_model::Tensor::f32(vec![WIDTH, WIDTH], values);
    }
}

fn requests(Asked { rows, deadline, .. }: Asked) -> Result<Arc<[Bytes]>, Error> {
    let values = models::rows(super::requests::ROWS, WIDTH);
    let request = |values: &[f32]| {
        let tensor = Tensor::new("input", vec![rows, WIDTH], TensorData::Fp32(values.to_vec()))?;
        let deadline_ms = deadline.and_then(|deadline| u64::try_from(deadline.as_millis()).ok());
        let request = InferRequest { deadline_ms, ..InferRequest::tensors(vec![tensor]) };
        Ok(request.encode(Encoding::MessagePack)?.into())
    };
    values.chunks_exact(rows * WIDTH).map(request).collect()
}
