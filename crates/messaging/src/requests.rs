//! Who waits for which reply.
//!
//! The client library keeps an entry for every request that was never answered until the connection ends. Here an
//! entry goes with the future that waits for it, and all of them at once when the connection is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Subject;
use tokio::sync::oneshot;

use crate::{Error, Message};

/// Far above what one process asks at once; reached only when callers do not wait for replies.
const PENDING_MAX: usize = 65_536;

/// The replies that are waited for, by token.
#[derive(Debug)]
pub(crate) struct Requests {
    /// `_INBOX.<unique>.`
    prefix: String,
    next: AtomicU64,
    pending: Mutex<HashMap<u64, oneshot::Sender<Message>>>,
}

/// One reply that is waited for. Dropping it stops the waiting.
#[derive(Debug)]
pub(crate) struct Pending {
    requests: Arc<Requests>,
    token: u64,
    receiver: oneshot::Receiver<Message>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let prefix = format!("_INBOX.{}.", nuid::next());
        Self { prefix, next: AtomicU64::new(0), pending: Mutex::default() }
    }

    /// What to subscribe to.
    pub(crate) fn wildcard(&self) -> String {
        format!("{}*", self.prefix)
    }

    /// Starts to wait. The subject is where the reply must go.
    pub(crate) fn expect(self: &Arc<Self>) -> Result<(Subject, Pending), Error> {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        let mut pending = self.pending();
        if pending.len() >= PENDING_MAX {
            return Err(Error::Overloaded { what: "unanswered requests", limit: PENDING_MAX });
        }
        pending.insert(token, sender);
        drop(pending);
        let subject = Subject::from(format!("{}{token}", self.prefix));
        Ok((subject, Pending { requests: self.clone(), token, receiver }))
    }

    /// Hands a reply to whoever waits for it, if anyone still does.
    pub(crate) fn deliver(&self, message: Message) {
        let token = message.subject().strip_prefix(&self.prefix).and_then(|token| token.parse::<u64>().ok());
        let waiting = token.and_then(|token| self.pending().remove(&token));
        if let Some(waiting) = waiting {
            // Whoever waited may have given up at this very moment.
            let _ = waiting.send(message);
        }
    }

    /// Ends all waiting: the connection that the replies would have come over is gone.
    pub(crate) fn fail_all(&self) {
        self.pending().clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.pending().len()
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<Message>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// The reply, or nothing when the connection is lost before it comes.
    pub(crate) async fn reply(mut self) -> Option<Message> {
        (&mut self.receiver).await.ok()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.requests.pending().remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use leat_contract::ErrorCode;

    use super::*;

    #[tokio::test]
    async fn an_unanswered_request_leaves_nothing_behind() {
        let requests = Arc::new(Requests::new());
        let (_, pending) = requests.expect().unwrap();
        assert_eq!(requests.len(), 1);
        drop(pending);
        assert_eq!(requests.len(), 0);
    }

    #[tokio::test]
    async fn a_lost_connection_ends_all_waiting() {
        let requests = Arc::new(Requests::new());
        let (_, first) = requests.expect().unwrap();
        let (_, second) = requests.expect().unwrap();
        requests.fail_all();
        assert!(first.reply().await.is_none() && second.reply().await.is_none());
    }

    #[test]
    fn unanswered_requests_are_bounded() {
        let requests = Arc::new(Requests::new());
        let held: Vec<_> = (0..PENDING_MAX).map(|_| requests.expect().unwrap()).collect();
        let error = requests.expect().unwrap_err();
        assert!(error.code() == ErrorCode::Overloaded && error.is_retryable(), "{error}");
        drop(held);
        assert!(requests.expect().is_ok());
    }
}
