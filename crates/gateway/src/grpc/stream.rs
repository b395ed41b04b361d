//! A stream of requests, answered in their order.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt, TryStreamExt};
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::{Status, Streaming};

use super::in_time::in_time;
use super::inference::infer;
use super::tensors;
use super::with_setting;
use crate::connection::Running;
use crate::edge::Edge;
use crate::keys::{Keys, Right};
use crate::memory::{Memory, Share};
use crate::refusal::Refusal;
use crate::wire::inference::{ModelInferRequest, ModelInferResponse, ModelStreamInferResponse};

/// Requests of one stream that are asked at the same time; their answers wait for each other.
const AT_ONCE: usize = 16;
/// Bytes of them; a larger request waits until it is alone.
const BYTES_AT_ONCE: u32 = 16 * 1024 * 1024;
/// A client that sets this wants a failure as the end of the stream, with its code.
const AS_STATUS: &str = "triton_grpc_error";

pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// The answers to a stream. A request that fails is told in its place; the stream goes on, unless its client wants a status.
pub(super) fn answers(
    edge: Arc<Edge>,
    headers: HeaderMap,
    requests: Streaming<ModelInferRequest>,
    running: Option<Running>,
) -> Answers {
    let as_status = headers.get(AS_STATUS).is_some_and(|value| value == "true");
    let headers = Arc::new(headers);
    let patience = Duration::from_millis(edge.settings.idle_timeout_ms);
    let mut admission = admission(edge.keys.clone(), headers.clone());
    let answers = paced(requests, edge.bodies.memory().clone()).map(move |request| {
        let (edge, headers, admitted) = (edge.clone(), headers.clone(), admission());
        async move {
            let Paced { request, share, _place } = request.map_err(with_setting)?;
            let id = request.id.clone();
            let answered = match admitted.and(share) {
                Ok(share) => infer(&edge, &headers, (request, share)).await,
                Err(refusal) => Err(refusal),
            };
            told(answered, id, as_status)
        }
    });
    Box::pin(in_time(answers.buffered(AT_ONCE), patience, running))
}

/// Lets in one request of a stream after the other. The first one was let in with the call.
fn admission(keys: watch::Receiver<Keys>, headers: Arc<HeaderMap>) -> impl FnMut() -> Result<(), Refusal> {
    let mut is_first = true;
    move || {
        if std::mem::take(&mut is_first) {
            return Ok(());
        }
        keys.borrow().admit(&headers, Right::Ask, Instant::now())
    }
}

/// A request of a stream.
struct Paced {
    request: ModelInferRequest,
    /// What it has of the memory, unless there is too little.
    share: Result<Share, Refusal>,
    /// Its place among those that are asked at the same time.
    _place: OwnedSemaphorePermit,
}

/// The same requests, each with its place and its share. The next one is not read before there is a place for this one.
fn paced(
    requests: impl Stream<Item = Result<ModelInferRequest, Status>>,
    memory: Memory,
) -> impl Stream<Item = Result<Paced, Status>> {
    let room = Arc::new(Semaphore::new(BYTES_AT_ONCE as usize));
    requests.and_then(move |request| {
        let bytes = tensors::bytes_of(&request);
        // Counted also while it waits.
        let share = memory.share(bytes);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let place = room.clone().acquire_many_owned(bytes.min(BYTES_AT_ONCE));
        async move {
            let closed = |_| Status::internal("the room for requests is closed");
            Ok(Paced { request, share, _place: place.await.map_err(closed)? })
        }
    })
}

fn told(
    answered: Result<ModelInferResponse, Refusal>,
    id: String,
    as_status: bool,
) -> Result<ModelStreamInferResponse, Status> {
    match answered {
        Ok(response) => {
            Ok(ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) })
        }
        Err(refusal) if as_status => Err(refusal.into()),
        // The id tells which of many requests failed, as Triton has it.
        Err(refusal) => {
            let infer_response = Some(ModelInferResponse { id, ..Default::default() });
            Ok(ModelStreamInferResponse { error_message: refusal.message, infer_response })
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, stream};

    use super::*;

    fn request(bytes: usize) -> Result<ModelInferRequest, Status> {
        Ok(ModelInferRequest { raw_input_contents: vec![vec![0; bytes].into()], ..Default::default() })
    }

    #[test]
    fn every_request_of_a_stream_is_taken_from_its_key() {
        let key = r#"[{"name":"slow","sha256":"DIGEST","requests_per_second":0.001,"burst":2}]"#;
        let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let settings: Vec<_> = serde_json::from_str(&key.replace("DIGEST", digest)).unwrap();
        let (_sender, keys) = watch::channel(Keys::load(&settings, None, &Keys::default()).unwrap());
        let headers = HeaderMap::from_iter([("x-api-key".parse().unwrap(), "secret".parse().unwrap())]);
        keys.borrow().admit(&headers, Right::Ask, Instant::now()).unwrap();
        let mut admission = admission(keys, Arc::new(headers));
        assert!(admission().is_ok(), "the first one came with the call");
        assert!(admission().is_ok(), "the second one uses up the burst");
        assert_eq!(admission().unwrap_err().code, leat_contract::ErrorCode::Overloaded);
    }

    #[test]
    fn a_request_that_fails_is_told_in_its_place_under_its_id() {
        let refused = || Err(Refusal::invalid("wrong"));
        let told_of = told(refused(), "b".to_owned(), false).unwrap();
        assert_eq!(told_of.error_message, "wrong");
        assert_eq!(told_of.infer_response.map(|response| response.id), Some("b".to_owned()));
        assert!(told(refused(), "b".to_owned(), true).is_err());
    }

    #[tokio::test]
    async fn large_requests_of_a_stream_wait_for_each_other() {
        let large = BYTES_AT_ONCE as usize + 1;
        let mut paced =
            Box::pin(paced(stream::iter([request(10), request(10), request(large)]), Memory::new(large)));
        let small = [paced.next().await.unwrap().unwrap(), paced.next().await.unwrap().unwrap()];
        assert!(paced.next().now_or_never().is_none());
        drop(small);
        let large = paced.next().await.unwrap().ok().unwrap();
        assert!(large.share.is_err(), "the small ones had theirs when it was read");
        assert!(paced.next().await.is_none());
    }
}
