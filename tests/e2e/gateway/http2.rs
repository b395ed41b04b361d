//! HTTP/2 without TLS, as a client speaks it that knows beforehand: many requests on one connection, REST and gRPC.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::town;
use crate::process::ids;

const REQUESTS: usize = 32;

async fn connect<B>(port: u16) -> SendRequest<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the port is open");
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

/// One exchange: the status, the headers and the body.
async fn send(
    sender: &SendRequest<Full<Bytes>>,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> (StatusCode, HeaderMap, Bytes) {
    let mut request = Request::post(format!("http://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).expect("a request");
    let (head, body) = sender.clone().send_request(request).await.expect("a reply").into_parts();
    (head.status, head.headers, body.collect().await.expect("a body").to_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_a_connection() {
    let (_town, ports) = town().await;
    let sender = connect(ports.http).await;
    let ask = |number: usize| {
        let body = json!({ "id": format!("two-{number}"), "instances": [vec![number % 17; 64]] }).to_string();
        let sender = &sender;
        async move { send(sender, "/v2/models/digits/infer", &[], body).await }
    };
    for (number, (status, headers, body)) in join_all((0..REQUESTS).map(ask)).await.into_iter().enumerate() {
        assert_eq!(status, StatusCode::OK);
        assert!(headers.contains_key("x-request-id"), "{headers:?}");
        let reply: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(reply["id"], format!("two-{number}"), "{reply}");
    }
    let (status, _, body) = send(&sender, "/v2/models/digits/infer", &[], "{").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_may_send_everything_first() {
    const PIECES: usize = 48;
    let (_town, ports) = town().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    // More than a window holds.
    let piece = move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from(vec![b' '; 64 << 10])))
    };
    let body = StreamBody::new(stream::iter(0..PIECES).map(piece));
    let request = Request::post("http://localhost/nowhere").body(body).expect("a request");
    let reply = connect(ports.http).await.send_request(request).await.expect("a reply");
    assert_eq!((reply.status(), sent.load(Ordering::Relaxed)), (StatusCode::NOT_FOUND, PIECES));
}

/// A field of a Protocol Buffers message that has bytes; they and their number are short.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short field");
    let [low, high] = [(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    [&[number << 3 | 2, low, high], bytes].concat()
}

/// A `ModelInferRequest` of one row of zeros, framed as gRPC wants it.
fn infer_message() -> Vec<u8> {
    let tensor = [field(1, b"input"), field(2, b"FP32"), field(3, &[1, 64])].concat();
    let message = [field(1, b"digits"), field(5, &tensor), field(7, &[0; 256])].concat();
    let length = u32::try_from(message.len()).expect("a short message").to_be_bytes();
    [&[0], &length[..], &message].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_grpc_ends_at_the_deadline_that_its_client_names() {
    let (town, ports) = town().await;
    let sender = connect(ports.grpc).await;
    let path = "/inference.GRPCInferenceService/ModelInfer";
    let within =
        |timeout| [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", timeout)];
    let (_, answered, body) = send(&sender, path, &within("20S"), infer_message()).await;
    assert!(!body.is_empty() && !answered.contains_key("grpc-status"), "{answered:?}");

    let worker = Pid::from_raw(ids(&town.cluster, &["worker-1"])[0].1.cast_signed()).expect("a process");
    kill_process(worker, Signal::STOP).expect("stopped");
    let (status, late, _) = send(&sender, path, &within("300m"), infer_message()).await;
    kill_process(worker, Signal::CONT).expect("goes on");
    // 4 is DEADLINE_EXCEEDED.
    assert_eq!((status, late["grpc-status"].as_bytes()), (StatusCode::OK, b"4".as_slice()), "{late:?}");
    assert!(late.contains_key("x-request-id"), "{late:?}");
}
