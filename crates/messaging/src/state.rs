//! Whether we are connected, as the client library's events tell it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{ClientError, ConnectErrorKind, Event};
use tokio::sync::watch;

/// What ends an attempt to reconnect because of the credentials. The client library tells it as text.
const REFUSALS: [ConnectErrorKind; 2] =
    [ConnectErrorKind::AuthorizationViolation, ConnectErrorKind::Authentication];

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls go through.
    Connected,
    /// The connection was lost and is being restored; calls fail at once.
    Disconnected,
    /// The server refuses the credentials when reconnecting; only a person can help.
    Refused,
    /// Closed on purpose.
    Closed,
}

/// What the events say, for those who wait for a change.
#[derive(Debug)]
pub(crate) struct StateTracker {
    state: watch::Sender<State>,
    /// How often a connection was made; whoever remembers the number notices that it was lost in between.
    connects: watch::Sender<u64>,
    lost_messages: AtomicU64,
}

impl StateTracker {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: watch::Sender::new(State::Disconnected),
            connects: watch::Sender::new(0),
            lost_messages: AtomicU64::new(0),
        })
    }

    /// Takes note of an event; gives whether the connection was just lost.
    pub(crate) fn note(&self, event: &Event) -> bool {
        match event {
            Event::Connected => {
                self.connects.send_modify(|connects| *connects += 1);
                self.state.send_replace(State::Connected);
            }
            Event::Disconnected => {
                tracing::warn!("connection to the broker lost, reconnecting");
                self.state.send_replace(State::Disconnected);
                return true;
            }
            Event::Closed => {
                self.state.send_replace(State::Closed);
                return true;
            }
            Event::SlowConsumer(_) => {
                // Written once per message in a flood, a log line would make the flood worse.
                self.lost_messages.fetch_add(1, Ordering::Relaxed);
            }
            Event::ClientError(ClientError::Other(reason)) if is_refusal(reason) => {
                tracing::error!(%reason, "the broker refuses the credentials");
                self.state.send_replace(State::Refused);
            }
            Event::ServerError(error) => tracing::error!(%error, "the broker reports an error"),
            _ => {}
        }
        false
    }

    pub(crate) fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn is_closed(&self) -> bool {
        *self.state.borrow() == State::Closed
    }

    pub(crate) fn connects(&self) -> watch::Receiver<u64> {
        self.connects.subscribe()
    }

    pub(crate) fn lost_messages(&self) -> u64 {
        self.lost_messages.load(Ordering::Relaxed)
    }
}

fn is_refusal(reason: &str) -> bool {
    REFUSALS.iter().any(|kind| reason == kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_credentials_are_told_from_a_broken_line() {
        for (reason, expected) in [
            ("authorization violation", State::Refused),
            ("failed signing nonce", State::Refused),
            ("IO error", State::Disconnected),
        ] {
            let tracker = StateTracker::new();
            tracker.note(&Event::ClientError(ClientError::Other(reason.to_owned())));
            assert_eq!(*tracker.state().borrow(), expected, "{reason}");
        }
    }
}
