//! One HTTP/1.1 connection that stays open between requests.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, Failure, HttpTarget};

#[derive(Debug)]
pub(crate) struct HttpCaller {
    target: HttpTarget,
    line: Option<Line>,
}

#[derive(Debug)]
struct Line {
    sender: SendRequest<Full<Bytes>>,
    /// Moves the bytes; it ends with the line.
    _driver: AbortOnDropHandle<()>,
}

impl HttpCaller {
    /// # Errors
    /// [`Error::Connect`] when nobody accepts within the time.
    pub(crate) async fn connect(target: HttpTarget, timeout: Duration) -> Result<Self, Error> {
        let failed = |reason| Error::Connect { address: target.address.clone(), reason };
        let opened = tokio::time::timeout(timeout, Line::open(&target.address)).await;
        let line = opened.map_err(|_| failed(format!("no answer within {timeout:?}")))?.map_err(failed)?;
        Ok(Self { target, line: Some(line) })
    }

    pub(crate) async fn call(&mut self, body: Bytes, timeout: Duration) -> Result<Bytes, Failure> {
        let request = self.request(Method::POST, &self.target.path, body);
        self.exchange(request, timeout).await
    }

    pub(crate) async fn get(&mut self, path: &str, timeout: Duration) -> Result<Bytes, Failure> {
        let request = self.request(Method::GET, path, Bytes::new());
        self.exchange(request, timeout).await
    }

    fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, http::Error> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.target.address.as_str())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(body))
    }

    /// After a failure the next request opens a line of its own: on this one the answer to the last may still come.
    async fn exchange(
        &mut self,
        request: Result<Request<Full<Bytes>>, http::Error>,
        timeout: Duration,
    ) -> Result<Bytes, Failure> {
        let request = request.map_err(|error| Failure::Unsendable(error.to_string()))?;
        let taken = self.line.take();
        let address = &self.target.address;
        let exchange = async move {
            let mut line = match taken {
                Some(line) if !line.sender.is_closed() => line,
                _ => Line::open(address).await.map_err(|_| Failure::Disconnected)?,
            };
            let answer = line.exchange(request).await?;
            Ok::<_, Failure>((answer, line))
        };
        let (answer, line) =
            tokio::time::timeout(timeout, exchange).await.map_err(|_| Failure::Timeout)??;
        self.line = Some(line);
        answer
    }
}

impl Line {
    async fn open(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| error.to_string())?;
        let driver = tokio::spawn(async move {
            // Whatever ends it, the request that waits for it is told.
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: AbortOnDropHandle::new(driver) })
    }

    /// The outer error is of the line, the inner one the server's.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Result<Bytes, Failure>, Failure> {
        let lost = |_: hyper::Error| Failure::Disconnected;
        self.sender.ready().await.map_err(lost)?;
        let answer = self.sender.send_request(request).await.map_err(lost)?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(lost)?.to_bytes();
        let is_refusal = status.is_client_error() || status.is_server_error();
        Ok(if is_refusal { Err(Failure::Status(status.as_u16())) } else { Ok(body) })
    }
}
