//! Requests that are too large for one message of the broker: cut by rows, asked in parts, put together again in order.

mod joined;

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use leat_contract::{Encoding, ErrorCode, InferReference, InferRequest, Instances, RequestBody};

use crate::elements;
use crate::payloads::Large;
use crate::refusal::Refusal;
use crate::workers::{Call, Target, Workers};

pub(crate) use joined::{Joined, ShortAnswer};

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
/// What a worker refuses; 413 naming the limit and its setting when the rows cannot be cut further and an object would be too large.
pub(crate) async fn ask<A: Joined>(
    workers: &Workers,
    target: &Target,
    request: InferRequest,
    (call, at_once): (&Call, usize),
) -> Result<A, Refusal> {
    let (request, payload) = written(request, A::ENCODING).await?;
    let (rows, payload) = (request.rows(), Bytes::from(payload));
    let limit = workers.payload_bytes_max();
    let rows_of_part = if payload.len() <= limit {
        match workers.infer(target, payload.clone(), call).await {
            // What fits in one message may have an answer that does not.
            Err(refusal) if refusal.code == ErrorCode::TooLarge => rows.div_ceil(2),
            answered => return read(answered?).await,
        }
    } else {
        rows / (payload.len().div_ceil(limit) + 1)
    };
    if rows <= 1 || rows_of_part == 0 {
        return whole(workers, target, &request, (call, payload)).await;
    }
    drop(payload);
    let request = Arc::new(request);
    match in_parts(workers, target, request.clone(), (call, at_once, rows_of_part)).await {
        Err(refusal) if refusal.code == ErrorCode::TooLarge => {
            let (request, payload) = written(Arc::unwrap_or_clone(request), A::ENCODING).await?;
            whole(workers, target, &request, (call, payload.into())).await
        }
        answered => answered,
    }
}

/// Asks for all rows at once, by objects where no message can hold them.
async fn whole<A: Joined>(
    workers: &Workers,
    target: &Target,
    request: &InferRequest,
    (call, payload): (&Call, Bytes),
) -> Result<A, Refusal> {
    let large = Large { payload, reference: InferReference::of(request), encoding: A::ENCODING };
    read(workers.infer_by_object(target, large, call).await?).await
}

/// Asks with fewer and fewer rows at once until every part and every answer fits, and anew when the version that gave the first part left
/// before the last one.
async fn in_parts<A: Joined>(
    workers: &Workers,
    target: &Target,
    request: Arc<InferRequest>,
    (call, at_once, mut rows_of_part): (&Call, usize, usize),
) -> Result<A, Refusal> {
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
enum Whole<A> {
    Answered(A),
    /// The version of the first part is served no more, and its caller did not name it.
    VersionLeft(Refusal),
}

async fn once<A: Joined>(
    workers: &Workers,
    target: &Target,
    request: &Arc<InferRequest>,
    (call, at_once, rows_of_part): (&Call, usize, usize),
) -> Result<Whole<A>, Refusal> {
    let rows = request.rows();
    let first: A = part(workers, target.clone(), request.clone(), (call, 0..rows_of_part.min(rows))).await?;
    let is_named = target.version.is_some() && target.alias.is_none();
    let target = Target { version: Some(first.version()?), alias: None, ..target.clone() };
    let starts: Vec<usize> = (rows_of_part..rows).step_by(rows_of_part).collect();
    let others = stream::iter(starts).map(|start| {
        let range = start..(start + rows_of_part).min(rows);
        part(workers, target.clone(), request.clone(), (call, range))
    });
    let join = |mut whole: A, part| async { whole.join(part).map(|()| whole) };
    let mut whole = match others.buffered(at_once).try_fold(first, join).await {
        Err(refusal) if !is_named && matches!(refusal.code, ErrorCode::NotFound | ErrorCode::Unavailable) => {
            let message = format!("{target} left while parts of the request were asked");
            let left = Refusal::new(ErrorCode::Unavailable, message).retry_after(LEFT_PAUSE);
            return Ok(Whole::VersionLeft(left));
        }
        whole => whole?,
    };
    whole.set_id(request.id.clone());
    Ok(Whole::Answered(whole))
}

async fn part<A: Joined>(
    workers: &Workers,
    target: Target,
    request: Arc<InferRequest>,
    (call, rows): (&Call, Range<usize>),
) -> Result<A, Refusal> {
    let (limit, payloads) = (workers.payload_bytes_max(), workers.payloads.clone());
    let left = call.left()?;
    let (first, last) = (rows.start, rows.end.saturating_sub(1));
    let write = move || -> Result<Vec<u8>, Refusal> {
        let payload = rows_of(&request, (rows, left))?.encode(A::ENCODING)?;
        if payload.len() > limit { Err(payloads.refuse(payload.len(), limit)) } else { Ok(payload) }
    };
    let payload = blocking(write).await??;
    let answered = workers.infer(&target, payload.into(), call).await;
    read(answered.map_err(|refusal| about_rows(refusal, first..=last))?).await
}

/// A refusal of what is wrong with a row counts rows from the first one of its part.
fn about_rows(refusal: Refusal, rows: RangeInclusive<usize>) -> Refusal {
    if refusal.code != ErrorCode::InvalidArgument || *rows.start() == 0 {
        return refusal;
    }
    let (first, last, told) = (rows.start(), rows.end(), &refusal.message);
    let message = format!("of rows {first} to {last}, counted from the first of these: {told}");
    Refusal { message, ..refusal }
}

/// The same request with only some of its rows, the time that is left, and without its id.
fn rows_of(request: &InferRequest, (rows, left): (Range<usize>, Duration)) -> Result<InferRequest, Refusal> {
    let body = match &request.body {
        RequestBody::Tensors { inputs, outputs } => {
            let total = request.rows();
            if let Some(other) = inputs.iter().find(|input| input.rows() != total) {
                let message = format!("input {:?} has another number of rows than the first one", other.name);
                return Err(Refusal::invalid(message));
            }
            let inputs = inputs.iter().map(|input| input.rows_in(rows.clone())).collect();
            RequestBody::Tensors { inputs, outputs: outputs.clone() }
        }
        RequestBody::Instances(instances) => RequestBody::Instances(instances.rows_in(rows)),
    };
    Ok(InferRequest {
        id: None,
        deadline_ms: Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)),
        parameters: request.parameters.clone(),
        body,
    })
}

/// The request in an encoding, and itself back.
async fn written(request: InferRequest, encoding: Encoding) -> Result<(InferRequest, Vec<u8>), Refusal> {
    let bytes = match &request.body {
        RequestBody::Tensors { inputs, .. } => elements::bytes_of(inputs),
        RequestBody::Instances(Instances::Rows { values, .. }) => size_of_val(&**values),
        RequestBody::Instances(Instances::Table { columns, cells }) => {
            size_of_val(&**cells) + columns.iter().map(String::len).sum::<usize>() * request.rows()
        }
    };
    let write = move || {
        let payload = request.encode(encoding)?;
        Ok::<_, Refusal>((request, payload))
    };
    by_size(bytes, write).await?
}

async fn read<A: Joined>(payload: Bytes) -> Result<A, Refusal> {
    by_size(payload.len(), move || A::read(&payload)).await?
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
