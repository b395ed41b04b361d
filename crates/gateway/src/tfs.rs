//! TensorFlow Serving's REST: predictions by rows or columns, status and metadata. Labels are the aliases of the registry.

mod cursor;
mod dense;
mod describe;
mod number;
mod reply;
mod request;
mod tensors;

use http::HeaderMap;
use leat_contract::{InferRequest, InferResponse, RequestBody};

use crate::answer::Answer;
use crate::body::Held;
use crate::edge::Edge;
use crate::elements;
use crate::outline::Outline;
use crate::parts::{self, by_size};
use crate::refusal::Refusal;
use crate::route::Named;
use crate::v2::infer::request_id;

pub(crate) use describe::{metadata, status};

/// Answers `:predict`.
///
/// # Errors
/// What is wrong with the request, or why no worker answers.
pub(crate) async fn predict(
    edge: &Edge,
    named: &Named,
    headers: &HeaderMap,
    body: Held,
) -> Result<Answer, Refusal> {
    Outline::of_body(body.bytes.clone(), edge.settings.json_depth_max).await?;
    let target = edge.workers.target(named)?;
    let (target, model) = edge.workers.signature(&target).await?;
    let read = {
        let bytes = body.bytes.clone();
        move || {
            let request = request::Predict::read(&bytes)?;
            let (form, inputs) = (request.form, tensors::inputs(request, &model)?);
            Ok::<_, Refusal>((form, inputs))
        }
    };
    let (form, inputs) = by_size(body.bytes.len(), read).await??;
    let mut request = InferRequest::tensors(Vec::new());
    request.body = RequestBody::Tensors { inputs, outputs: None };
    request.id = request_id(headers);
    let mut call = edge.call(headers);
    edge.bound(&mut request, &mut call);
    let response: InferResponse =
        parts::ask(&edge.workers, &target, request, (&call, edge.settings.parts_at_once)).await?;
    let bytes = elements::bytes_of(&response.outputs);
    let text = by_size(bytes, move || reply::write(&response, form)).await??;
    Ok(Answer::json(text))
}

/// Reads a body of `:predict` and forgets it.
pub(crate) fn check(body: &[u8]) -> Result<(), Refusal> {
    request::Predict::read(body).map(drop)
}
