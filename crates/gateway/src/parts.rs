//! Requests that are too large for one message of the broker: cut by rows, asked in parts, put together again in order.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use leat_contract::{Encoding, ErrorCode, InferRequest, InferResponse, RequestBody, RequestedOutput, Tensor};

use crate::elements;
use crate::refusal::Refusal;
use crate::workers::{Call, Target, Workers};

/// Work on more bytes than this leaves the threads that handle messages.
pub(crate) const BLOCKING_BYTES_MIN: usize = 256 * 1024;

/// How often a request is asked anew because its version left.
const ROUNDS_MAX: usize = 3;
const LEFT_PAUSE: Duration = Duration::from_secs(1);

/// Asks, in one message or in as many as it takes.
///
/// Parts of one request are answered by one version: the first one's. They carry no id, because what is recorded under an id
/// is one answer.
///
/// # Errors
/// What a worker refuses; 413 naming the broker's limit when the rows cannot be cut further.
pub(crate) async fn ask(
    workers: &Workers,
    target: &Target,
    request: InferRequest,
    (call, at_once): (&Call, usize),
) -> Result<InferResponse, Refusal> {
    let (request, payload) = written(request).await?;
    let rows = request.rows();
    if payload.len() <= workers.payload_bytes_max() {
        match workers.infer(target, payload.into(), call).await {
            // What fits in one message may have an answer that does not.
            Err(refusal) if refusal.code == ErrorCode::TooLarge && rows > 1 => {}
            answered => return read(answered?).await,
        }
        return in_parts(workers, target, Arc::new(request), (call, at_once, rows.div_ceil(2))).await;
    }
    let parts = payload.len().div_ceil(workers.payload_bytes_max()) + 1;
    let limit = workers.payload_bytes_max();
    let bytes = payload.len();
    drop(payload);
    if rows <= 1 || matches!(request.body, RequestBody::Instances(_)) {
        return Err(over_the_limit(bytes, limit));
    }
    let rows_of_part = (rows / parts).max(1);
    in_parts(workers, target, Arc::new(request), (call, at_once, rows_of_part)).await
}

/// Asks with fewer and fewer rows at once until every part and every answer fits, and anew when the version that gave the first part left
/// before the last one.
async fn in_parts(
    workers: &Workers,
    target: &Target,
    request: Arc<InferRequest>,
    (call, at_once, mut rows_of_part): (&Call, usize, usize),
) -> Result<InferResponse, Refusal> {
    let mut rounds = 0;
    loop {
        match once(workers, target, &request, (call, at_once, rows_of_part)).await {
            Err(refusal) if refusal.code == ErrorCode::TooLarge && rows_of_part > 1 => {
                rows_of_part = rows_of_part.div_ceil(2);
            }
            Ok(Whole::Answered(answered)) => return Ok(answered),
            Ok(Whole::VersionLeft(_)) if rounds < ROUNDS_MAX => rounds += 1,
            Ok(Whole::VersionLeft(refusal)) | Err(refusal) => return Err(refusal),
        }
    }
}

/// What became of all parts of a request.
enum Whole {
    Answered(InferResponse),
    /// The version of the first part is served no more, and its caller did not name it.
    VersionLeft(Refusal),
}

async fn once(
    workers: &Workers,
    target: &Target,
    request: &Arc<InferRequest>,
    (call, at_once, rows_of_part): (&Call, usize, usize),
) -> Result<Whole, Refusal> {
    let rows = request.rows();
    let first = part(workers, target.clone(), request.clone(), (call, 0..rows_of_part.min(rows))).await?;
    let is_named = target.version.is_some() && target.alias.is_none();
    let target = Target { version: Some(first.model_version), alias: None, ..target.clone() };
    let starts: Vec<usize> = (rows_of_part..rows).step_by(rows_of_part).collect();
    let others = stream::iter(starts).map(|start| {
        let range = start..(start + rows_of_part).min(rows);
        part(workers, target.clone(), request.clone(), (call, range))
    });
    let mut whole = match others.buffered(at_once).try_fold(first, joined).await {
        Err(refusal) if !is_named && matches!(refusal.code, ErrorCode::NotFound | ErrorCode::Unavailable) => {
            let message = format!("{target} left while parts of the request were asked");
            let left = Refusal::new(ErrorCode::Unavailable, message).retry_after(LEFT_PAUSE);
            return Ok(Whole::VersionLeft(left));
        }
        whole => whole?,
    };
    whole.id.clone_from(&request.id);
    Ok(Whole::Answered(whole))
}

async fn joined(mut whole: InferResponse, part: InferResponse) -> Result<InferResponse, Refusal> {
    if whole.outputs.len() != part.outputs.len() {
        return Err(Refusal::internal("the parts of one answer have different outputs"));
    }
    for (output, more) in whole.outputs.iter_mut().zip(part.outputs) {
        output.append_rows(more)?;
    }
    Ok(whole)
}

async fn part(
    workers: &Workers,
    target: Target,
    request: Arc<InferRequest>,
    (call, rows): (&Call, Range<usize>),
) -> Result<InferResponse, Refusal> {
    let limit = workers.payload_bytes_max();
    let left = call.left()?;
    let write = move || -> Result<Vec<u8>, Refusal> {
        let payload = rows_of(&request, (rows, left))?.encode(Encoding::MessagePack)?;
        if payload.len() > limit { Err(over_the_limit(payload.len(), limit)) } else { Ok(payload) }
    };
    let payload = blocking(write).await??;
    read(workers.infer(&target, payload.into(), call).await?).await
}

/// The same request with only some of its rows, the time that is left, and without its id.
fn rows_of(request: &InferRequest, (rows, left): (Range<usize>, Duration)) -> Result<InferRequest, Refusal> {
    let RequestBody::Tensors { inputs, outputs } = &request.body else {
        return Err(Refusal::internal("only tensors are cut by rows"));
    };
    let total = request.rows();
    if let Some(other) = inputs.iter().find(|input| input.rows() != total) {
        let message = format!("input {:?} has another number of rows than the first one", other.name);
        return Err(Refusal::invalid(message));
    }
    let inputs: Vec<Tensor> = inputs.iter().map(|input| input.rows_in(rows.clone())).collect();
    let outputs: Option<Vec<RequestedOutput>> = outputs.clone();
    Ok(InferRequest {
        id: None,
        deadline_ms: Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)),
        parameters: request.parameters.clone(),
        body: RequestBody::Tensors { inputs, outputs },
    })
}

/// The request as MessagePack, and itself back.
async fn written(request: InferRequest) -> Result<(InferRequest, Vec<u8>), Refusal> {
    let bytes = match &request.body {
        RequestBody::Tensors { inputs, .. } => elements::bytes_of(inputs),
        RequestBody::Instances(instances) => instances.rows().saturating_mul(8),
    };
    let write = move || {
        let payload = request.encode(Encoding::MessagePack)?;
        Ok::<_, Refusal>((request, payload))
    };
    by_size(bytes, write).await?
}

/// An answer in MessagePack.
async fn read(payload: bytes::Bytes) -> Result<InferResponse, Refusal> {
    by_size(payload.len(), move || Ok(InferResponse::decode(&payload)?.0)).await?
}

/// Does work on so many bytes: here when they are few, else on a thread where it delays nobody.
pub(crate) async fn by_size<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if bytes > BLOCKING_BYTES_MIN { blocking(work).await } else { Ok(work()) }
}

/// Runs what may take long on a thread where it delays nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refusal::internal(format!("a thread ended unexpectedly: {error}")))
}

fn over_the_limit(bytes: usize, limit: usize) -> Refusal {
    Refusal::too_large(format!(
        "the request takes {bytes} bytes of the {limit} that one message of the broker may have (setting max_payload of \
         nats-server), and cannot be cut by rows any further"
    ))
}
