//! From a request to its reply.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use serde_json::json;
use tracing::{Instrument, debug};

use super::{Edge, REQUEST_ID, finish, traced};
use crate::answer::Answer;
use crate::body::Held;
use crate::coding::Coding;
use crate::grpc;
use crate::refusal::Refusal;
use crate::route::Route;
use crate::v2::{describe, infer};
use crate::{openapi, tfs};

/// The body of a reply: whole for HTTP, a stream for gRPC.
pub(crate) type Body = Either<Full<Bytes>, tonic::body::Body>;

/// One connection as its requests see it.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    pub(crate) edge: Arc<Edge>,
    pub(crate) grpc: grpc::Services,
}

impl Connected {
    /// Answers one request; whatever happens there is an answer.
    pub(crate) async fn answer(self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let id = traced::id(request.headers());
        let ends_connection = request.version() < Version::HTTP_2;
        let leaving = self.edge.leaving.clone();
        let span = traced::span(&request, &id, self.edge.begins_traces);
        let mut reply = self.answered(request, &id).instrument(span.clone()).await;
        traced::note(&span, &reply);
        if let Ok(id) = HeaderValue::from_str(&id) {
            reply.headers_mut().insert(REQUEST_ID, id);
        }
        if ends_connection && leaving.is_cancelled() {
            // So that nobody sends another request while the connection is being closed.
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(reply)
    }

    async fn answered(self, request: Request<Incoming>, id: &str) -> Response<Body> {
        let began = Instant::now();
        let _inflight = self.edge.inflight.enter();
        let _present = self.edge.metrics.request();
        if is_grpc(&request) {
            grpc::answer(&self, request, began).await.map(Either::Right)
        } else {
            self.edge.http(request, id, began).await.map(Either::Left)
        }
    }
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

impl Edge {
    async fn http(&self, request: Request<Incoming>, id: &str, began: Instant) -> Response<Full<Bytes>> {
        let (parts, mut body) = request.into_parts();
        let is_preflight = self.cors.is_preflight(&parts.method, &parts.headers);
        let routed = Route::of(&parts.method, parts.uri.path());
        let operation = routed.as_ref().map_or("unknown", Route::operation);
        let answered = if is_preflight {
            Ok(Answer::empty().with_status(StatusCode::NO_CONTENT))
        } else {
            self.routed(routed, &parts, &mut body).await
        };
        // Of HTTP/1 the connection ends instead, as clients know.
        if parts.version == Version::HTTP_2 {
            self.bodies.discard(&mut body).await;
        }
        let answer = answered.unwrap_or_else(Answer::from);
        let answer = finish::compressed(answer, &parts.headers).await;
        if answer.status.is_client_error() || answer.status.is_server_error() {
            let (method, path, status) = (&parts.method, parts.uri.path(), answer.status.as_u16());
            debug!(id, %method, path, status, elapsed_us = began.elapsed().as_micros(), "a request was refused");
        }
        let mut reply = finish::response(answer);
        self.cors.mark(parts.headers.get(ORIGIN), is_preflight, reply.headers_mut());
        self.metrics.answered("http", operation, reply.status().as_u16(), began);
        reply
    }

    async fn routed(
        &self,
        routed: Result<Route, Refusal>,
        parts: &Parts,
        body: &mut Incoming,
    ) -> Result<Answer, Refusal> {
        // Without a key nobody learns which paths there are.
        let right = routed.as_ref().map_or(Some(crate::keys::Right::Ask), Route::right);
        if let Some(right) = right {
            self.keys.borrow().admit(&parts.headers, right, Instant::now())?;
        }
        let route = routed?;
        let body = if parts.method == Method::POST { self.body(parts, body).await? } else { Held::default() };
        self.route(route, parts, body).await
    }

    async fn route(&self, route: Route, parts: &Parts, body: Held) -> Result<Answer, Refusal> {
        match route {
            Route::Infer(named) => infer::infer(self, &named, &parts.headers, body).await,
            Route::Live { is_v2: true } => Answer::document(&json!({ "live": true })),
            Route::Live { is_v2: false } => Ok(Answer::typed("text/plain", "alive\n")),
            Route::Ready => self.ready(),
            Route::Metrics => finish::metrics(&self.all_metrics),
            Route::OpenApi => Ok(Answer::json(openapi::DOCUMENT)),
            Route::Server => describe::server(),
            Route::Models => describe::models(self),
            Route::Model(named) => describe::model(self, &named).await,
            Route::ModelReady(named) => describe::model_ready(self, &named).await,
            Route::Config(named) => describe::config(self, &named).await,
            Route::Statistics(named) => describe::statistics(self, named.as_ref()).await,
            Route::Index => describe::index(self, &body.bytes).await,
            Route::Load(model) => describe::load(self, &model, &body.bytes).await,
            Route::Unload(model) => describe::unload(self, &model, &body.bytes).await,
            Route::TfsPredict(named) => tfs::predict(self, &named, &parts.headers, body).await,
            Route::TfsStatus(named) => tfs::status(self, &named).await,
            Route::TfsMetadata(named) => tfs::metadata(self, &named).await,
        }
    }

    fn ready(&self) -> Result<Answer, Refusal> {
        let is_ready = self.readiness.is_ready();
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Ok(Answer::document(&json!({ "live": true, "ready": is_ready }))?.with_status(status))
    }

    async fn body(&self, parts: &Parts, body: &mut Incoming) -> Result<Held, Refusal> {
        let coding = Coding::of_request(&parts.headers)?;
        let held = self.bodies.read(body).await?;
        match coding {
            None => Ok(held),
            Some(coding) => self.bodies.decode(held, coding).await,
        }
    }
}
