//! Who is asked, and how.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_contract::Encoding;
use leat_load::{Load, Target};

use crate::arguments::Server;

/// Longer than any request waits that is answered at all.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// At most so long, enough for connections and caches; what warms up more slowly does so in the first round.
const WARM_UP_MAX: Duration = Duration::from_millis(300);

/// A server with requests in one encoding.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) server: Server,
    pub(super) encoding: Encoding,
    pub(super) target: Target,
    pub(super) requests: Arc<[Bytes]>,
}

impl Lane {
    /// Asks for so long, after a warm-up of at most half as long.
    pub(super) fn load(&self, duration: Duration) -> Load {
        let (target, requests) = (self.target.clone(), self.requests.clone());
        Load { target, requests, timeout: TIMEOUT, warm_up: WARM_UP_MAX.min(duration / 2), duration }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("{} ({})", title(self.server), self.encoding)
    }
}

/// What a server is called in tables.
pub(super) const fn title(server: Server) -> &'static str {
    match server {
        Server::Echo => "NATS echo",
        Server::Leat => "leat",
        Server::NatsPy => "nats-py + ONNX Runtime",
        Server::Gateway => "leat gateway",
        Server::FastApi => "FastAPI + ONNX Runtime",
    }
}
