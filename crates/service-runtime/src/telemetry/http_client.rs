//! The HTTP client of the exporter. Exports run on a thread of their own, so a blocking client is the whole job.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};

/// A collector's reply is a short status; longer ones are refused.
const REPLY_BYTES_MAX: u64 = 1 << 20;

/// Sends one request after the other and blocks while it does.
#[derive(Debug)]
pub(super) struct BlockingClient {
    agent: ureq::Agent,
}

impl BlockingClient {
    pub(super) fn new(timeout: Duration) -> Self {
        let configuration =
            ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build();
        Self { agent: configuration.new_agent() }
    }
}

#[async_trait]
impl HttpClient for BlockingClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let reply = self.agent.run(Request::from_parts(parts, &body[..]))?;
        let (parts, mut body) = reply.into_parts();
        let bytes = body.with_config().limit(REPLY_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(bytes)))
    }
}
