//! Which pages of other origins may ask (the CORS protocol of the Fetch standard).

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-encoding, content-type, inference-header-content-length, traceparent, tracestate, x-api-key, \
     x-request-id",
);
const EXPOSED: HeaderValue =
    HeaderValue::from_static("inference-header-content-length, retry-after, x-request-id");
/// Browsers keep the answer to a preflight for at most two hours anyway.
const KEEP_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// The origins that may.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<String>,
}

impl Cors {
    pub(crate) fn new(origins: &[String]) -> Self {
        Self { origins: origins.to_vec() }
    }

    /// Whether a request only asks what it may send.
    pub(crate) fn is_preflight(&self, method: &Method, headers: &HeaderMap) -> bool {
        !self.origins.is_empty()
            && *method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Adds to a reply what the browser must see to hand it to the page.
    pub(crate) fn mark(&self, request: Option<&HeaderValue>, is_preflight: bool, reply: &mut HeaderMap) {
        if self.origins.is_empty() {
            return;
        }
        reply.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = request.filter(|origin| self.allows(origin)) else { return };
        reply.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if is_preflight {
            reply.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            reply.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            reply.insert(ACCESS_CONTROL_MAX_AGE, KEEP_SECONDS);
        } else {
            reply.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors = Cors::new(&["https://board.example".to_owned()]);
        let allowed = |origin: &'static str| {
            let mut reply = HeaderMap::new();
            cors.mark(Some(&HeaderValue::from_static(origin)), false, &mut reply);
            reply.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)
        };
        assert!(allowed("https://board.example") && !allowed("https://evil.example"));
    }

    #[test]
    fn without_origins_nothing_is_said() {
        let (cors, mut reply) = (Cors::new(&[]), HeaderMap::new());
        cors.mark(Some(&HeaderValue::from_static("https://board.example")), true, &mut reply);
        assert!(reply.is_empty());
    }
}
