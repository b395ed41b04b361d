//! Where requests go.

use std::time::Duration;

use http::Uri;
use leat_messaging::{ConnectOptions, Connection, Subject};

use crate::{Caller, Error};

/// Where requests go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A subject of a broker.
    Nats(NatsTarget),
    /// A path of an HTTP server.
    Http(HttpTarget),
}

/// A subject, asked over some connections.
#[derive(Clone, Debug)]
pub struct NatsTarget {
    connections: Vec<Connection>,
    subject: Subject,
}

/// A path, asked with POST over HTTP/1.1 connections that stay open.
#[derive(Clone, Debug)]
pub struct HttpTarget {
    /// Host and port, `127.0.0.1:8000`.
    pub(crate) address: String,
    pub(crate) path: String,
}

impl Target {
    /// So many callers, each for one request at a time and each waiting for `timeout` at most. Those for HTTP have a connection each.
    ///
    /// # Errors
    /// [`Error::Connect`] when an HTTP server cannot be reached.
    pub(crate) async fn callers(&self, count: usize, timeout: Duration) -> Result<Vec<Caller>, Error> {
        let mut callers = Vec::with_capacity(count);
        for place in 0..count {
            callers.push(match self {
                Self::Nats(target) => target.caller(place, timeout),
                Self::Http(target) => Caller::http(target, timeout).await?,
            });
        }
        Ok(callers)
    }

    /// One caller.
    ///
    /// # Errors
    /// [`Error::Connect`] when an HTTP server cannot be reached.
    pub async fn caller(&self, timeout: Duration) -> Result<Caller, Error> {
        match self {
            Self::Nats(target) => Ok(target.caller(0, timeout)),
            Self::Http(target) => Caller::http(target, timeout).await,
        }
    }
}

impl NatsTarget {
    /// Connects `connections` times, at least once; requests take turns on them.
    ///
    /// # Errors
    /// When the broker cannot be reached.
    pub async fn connect(
        options: &ConnectOptions,
        connections: usize,
        subject: impl Into<Subject>,
    ) -> Result<Self, Error> {
        let mut made = Vec::with_capacity(connections);
        for _ in 0..connections.max(1) {
            made.push(Connection::connect(options).await?);
        }
        Ok(Self { connections: made, subject: subject.into() })
    }

    /// Another subject over the same connections.
    pub fn with_subject(&self, subject: impl Into<Subject>) -> Self {
        Self { connections: self.connections.clone(), subject: subject.into() }
    }

    fn caller(&self, place: usize, timeout: Duration) -> Caller {
        let connection = &self.connections[place % self.connections.len()];
        Caller::nats(connection.clone(), self.subject.clone(), timeout)
    }
}

impl HttpTarget {
    /// A server, `http://127.0.0.1:8000`, and a path on it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an address that is none, has another scheme than `http`, or a path of its own.
    pub fn new(url: &str, path: impl Into<String>) -> Result<Self, Error> {
        let refused = |reason: &str| Error::invalid("url", format!("{url}: {reason}"));
        let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| refused(&error.to_string()))?;
        if uri.scheme_str() != Some("http") {
            return Err(refused("it must begin with http://; load goes over plain HTTP"));
        }
        let has_path = !matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/"));
        if has_path {
            return Err(refused("name the server alone, without a path"));
        }
        let host = uri.host().ok_or_else(|| refused("it names no host"))?;
        Ok(Self { address: format!("{host}:{}", uri.port_u16().unwrap_or(80)), path: path.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_plain_http_addresses() {
        let address = |url| HttpTarget::new(url, "/x").map(|target| target.address);
        assert_eq!(address("http://127.0.0.1:8000").unwrap(), "127.0.0.1:8000");
        assert_eq!(address("http://gateway/").unwrap(), "gateway:80");
        assert_eq!(address("http://[::1]:9").unwrap(), "[::1]:9");
        for bad in ["https://127.0.0.1", "127.0.0.1:8000", "http://host/v2", "", "http://"] {
            assert!(matches!(address(bad), Err(Error::Invalid { .. })), "{bad}");
        }
    }
}
