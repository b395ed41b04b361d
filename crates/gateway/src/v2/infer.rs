//! Inference over HTTP: passed on as it came where that is possible, else read, asked and written anew.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use leat_contract::{ErrorCode, InferRequest, InferResponse, RequestBody, RequestId};

use super::header::BinaryOutputs;
use super::{binary, reply};
use crate::answer::{Answer, JSON_LENGTH};
use crate::body::Held;
use crate::edge::Edge;
use crate::elements;
use crate::outline::Outline;
use crate::parts::{self, Joined, ShortAnswer, blocking, by_size};
use crate::refusal::Refusal;
use crate::route::Named;
use crate::workers::{Call, Target};

/// Answers a request for inference.
///
/// # Errors
/// What is wrong with it, or why no worker answers.
pub(crate) async fn infer(
    edge: &Edge,
    named: &Named,
    headers: &HeaderMap,
    body: Held,
) -> Result<Answer, Refusal> {
    let target = edge.workers.target(named)?;
    let mut call = edge.call(headers);
    match json_length(headers)? {
        Some(0) if !body.bytes.is_empty() => {
            let (target, model) = edge.workers.signature(&target).await?;
            let bytes = body.bytes.clone();
            let read = by_size(bytes.len(), move || binary::read_raw(&bytes, &model)).await??;
            ask(edge, &target, (read, headers), call).await
        }
        Some(json_bytes) => {
            let json = body.bytes.slice(..json_bytes.min(body.bytes.len()));
            Outline::of_body(json, edge.settings.json_depth_max).await?;
            let read = read(body.bytes.clone(), json_bytes).await?;
            ask(edge, &target, (read, headers), call).await
        }
        None => {
            let outline = Outline::of_body(body.bytes.clone(), edge.settings.json_depth_max).await?;
            // What it may not be is refused by whoever reads all of it.
            if let Some(deadline_ms) = outline.deadline_ms.filter(|deadline| *deadline > 0) {
                call.timeout = edge.settings.at_most(Duration::from_millis(deadline_ms));
            }
            let is_own = outline.names_model || outline.has_options;
            let bytes_max = edge.workers.payload_bytes_max();
            let may_fit = !is_own && body.bytes.len() <= bytes_max;
            let payload = if may_fit { passed_on(edge, headers, &body.bytes, outline) } else { None };
            if let Some(payload) = payload.filter(|payload| payload.len() <= bytes_max) {
                match edge.workers.infer(&target, payload, &call).await {
                    Err(refusal) if refusal.code == ErrorCode::TooLarge => {}
                    answered => return Ok(Answer::json(answered?)),
                }
            }
            let bytes = body.bytes.clone();
            let json_bytes = bytes.len();
            if is_own {
                let read = read(bytes, json_bytes).await?;
                return ask(edge, &target, (read, headers), call).await;
            }
            let request = decode(bytes).await?;
            if matches!(request.body, RequestBody::Instances(_)) {
                return ask_short(edge, &target, (request, headers), call).await;
            }
            ask(edge, &target, ((request, BinaryOutputs::default()), headers), call).await
        }
    }
}

/// The body with what the gateway adds in front; everything behind is as it came.
fn passed_on(edge: &Edge, headers: &HeaderMap, body: &Bytes, outline: Outline) -> Option<Bytes> {
    let id = request_id(headers).filter(|_| !outline.has_id);
    let adds_nothing = outline.is_empty || (outline.has_deadline && id.is_none());
    if adds_nothing {
        return Some(body.clone());
    }
    let start = body.iter().position(|byte| *byte == b'{')? + 1;
    let mut payload = BytesMut::with_capacity(body.len() + 192);
    payload.put_u8(b'{');
    if !outline.has_deadline {
        payload.put_slice(format!("\"deadline_ms\":{},", edge.settings.request_timeout_ms).as_bytes());
    }
    if let Some(id) = id.and_then(|id| serde_json::to_string(&id).ok()) {
        payload.put_slice(format!("\"id\":{id},").as_bytes());
    }
    payload.put_slice(body.get(start..)?);
    Some(payload.freeze())
}

async fn read(body: Bytes, json_bytes: usize) -> Result<binary::Read, Refusal> {
    by_size(body.len(), move || binary::read(&body, json_bytes)).await?
}

/// Reads a body that is too large to be passed on, or whose answer is.
async fn decode(body: Bytes) -> Result<InferRequest, Refusal> {
    Ok(blocking(move || InferRequest::decode(&body)).await??.0)
}

async fn ask(
    edge: &Edge,
    target: &Target,
    ((request, binary), headers): (binary::Read, &HeaderMap),
    call: Call,
) -> Result<Answer, Refusal> {
    let response: InferResponse = answer(edge, target, (request, headers), call).await?;
    let bytes = elements::bytes_of(&response.outputs);
    by_size(bytes, move || reply::write(response, &binary)).await?
}

/// Asks with a request in the short form.
async fn ask_short(
    edge: &Edge,
    target: &Target,
    (request, headers): (InferRequest, &HeaderMap),
    call: Call,
) -> Result<Answer, Refusal> {
    let short: ShortAnswer = answer(edge, target, (request, headers), call).await?;
    let json = by_size(short.bytes(), move || serde_json::to_vec(&short)).await?;
    Ok(Answer::json(json.map_err(|error| Refusal::internal(error.to_string()))?))
}

async fn answer<A: Joined>(
    edge: &Edge,
    target: &Target,
    (mut request, headers): (InferRequest, &HeaderMap),
    mut call: Call,
) -> Result<A, Refusal> {
    edge.bound(&mut request, &mut call);
    if request.id.is_none() {
        request.id = request_id(headers);
    }
    parts::ask(&edge.workers, target, request, (&call, edge.settings.parts_at_once)).await
}

/// What the header of the binary tensor extension says.
fn json_length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(JSON_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|value| value.trim().parse().ok());
    let wrong = || Refusal::invalid("the header Inference-Header-Content-Length is no whole number from 0");
    length.map(Some).ok_or_else(wrong)
}

/// The id that a caller gave in a header, when it can be one.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<RequestId> {
    headers.get(crate::edge::REQUEST_ID)?.to_str().ok()?.parse().ok()
}
