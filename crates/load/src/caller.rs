use std::time::Duration;

use bytes::Bytes;
use leat_messaging::{Connection, Subject};

use crate::http_caller::HttpCaller;
use crate::{Error, Failure, HttpTarget};

/// One who asks and waits, one request at a time.
#[derive(Debug)]
pub struct Caller {
    way: Way,
    timeout: Duration,
}

#[derive(Debug)]
enum Way {
    Nats(Connection, Subject),
    Http(HttpCaller),
}

impl Caller {
    pub(crate) fn nats(connection: Connection, subject: Subject, timeout: Duration) -> Self {
        Self { way: Way::Nats(connection, subject), timeout }
    }

    pub(crate) async fn http(target: &HttpTarget, timeout: Duration) -> Result<Self, Error> {
        Ok(Self { way: Way::Http(HttpCaller::connect(target.clone(), timeout).await?), timeout })
    }

    /// Sends a request once and gives the body of the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call(&mut self, request: Bytes) -> Result<Bytes, Failure> {
        match &mut self.way {
            Way::Nats(connection, subject) => {
                Ok(connection.request(subject.clone(), request, self.timeout).await?.into_payload())
            }
            Way::Http(caller) => caller.call(request, self.timeout).await,
        }
    }

    /// Asks for a document over HTTP with GET.
    ///
    /// # Errors
    /// Why there is none; always when the target is a subject.
    pub async fn get(&mut self, path: &str) -> Result<Bytes, Failure> {
        match &mut self.way {
            Way::Nats(..) => Err(Failure::Unsendable("a subject has no paths".to_owned())),
            Way::Http(caller) => caller.get(path, self.timeout).await,
        }
    }
}
