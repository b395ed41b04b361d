//! Ending subscriptions without losing what is under way.
//!
//! The client library stops accepting messages of a drained subscription when its connection task is next polled,
//! not when the server confirms the end. What the server sent in between would be lost. On a connection with a
//! thread of its own (`ConnectOptions::own_thread`) that task is therefore held still, after the request to end was
//! written, until the server's last messages and its confirmation have surely arrived in the socket. The next poll
//! then reads all of them before the subscription goes. On a shared runtime this cannot be done, and messages that
//! are under way at that moment can be lost.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::{Connection, Error, State, Subscription};

/// Long against a round trip in a data centre, short against the shutdown of a service.
const HOLD_MIN: Duration = Duration::from_millis(20);
const HOLD_MAX: Duration = Duration::from_secs(1);

impl Subscription {
    /// Asks the server to send no more. What it had sent before is still delivered; then the messages end.
    ///
    /// Loses nothing on a connection with a thread of its own that carries no other traffic at this moment, as long as
    /// what arrives within four round trips fits into the capacity of the subscription. Fails at once while
    /// disconnected, and after `timeout` when the request to end could not be written.
    pub async fn drain(&mut self, timeout: Duration) -> Result<(), Error> {
        self.connection.ready()?;
        let Some(mut subscriber) = self.subscriber.take() else { return Ok(()) };
        let hold = self.connection.hold(timeout).await;
        let client = self.connection.inner().client.clone();
        let draining = async move {
            // Both are queued before the connection's task runs, so that one poll of it writes the request to end.
            let drained = subscriber.drain().now_or_never();
            let written = tokio::time::timeout(timeout, client.flush()).await.is_ok();
            hold_still(hold);
            (subscriber, matches!(drained, Some(Ok(()))), written)
        };
        let (subscriber, drained, written) = match &self.connection.inner().thread {
            Some(thread) => thread.run(draining).await?,
            None => draining.await,
        };
        self.subscriber = Some(subscriber);
        match (drained, written) {
            (true, true) => Ok(()),
            (true, false) => {
                Err(Error::Timeout { what: "drain of a subscription".to_owned(), after: timeout })
            }
            (false, _) => Err(Error::Disconnected),
        }
    }
}

impl Connection {
    /// Ends all subscriptions as [`Subscription::drain`] does, sends what is queued, and closes the connection.
    pub async fn drain(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        if self.is_connected() {
            self.flush(timeout).await?;
        }
        let hold = self.hold(deadline - Instant::now()).await;
        let client = self.inner().client.clone();
        let draining = async move {
            let drained = client.drain().now_or_never();
            let _ = tokio::time::timeout(timeout, client.flush()).await;
            hold_still(hold);
            matches!(drained, Some(Ok(())))
        };
        let drained = match &self.inner().thread {
            Some(thread) => thread.run(draining).await?,
            None => draining.await,
        };
        let mut state = self.state();
        let closed = tokio::time::timeout_at(deadline, state.wait_for(|state| *state == State::Closed)).await;
        match closed {
            Ok(_) => Ok(()),
            Err(_) if !drained => Err(Error::Disconnected),
            Err(_) => Err(Error::Timeout { what: "drain of the connection".to_owned(), after: timeout }),
        }
    }

    /// How long to hold the connection still: several round trips, measured now; nothing without a thread of its own.
    async fn hold(&self, timeout: Duration) -> Duration {
        if self.inner().thread.is_none() {
            return Duration::ZERO;
        }
        let measured = self.round_trip(timeout.min(HOLD_MAX)).await.unwrap_or(HOLD_MIN);
        (measured * 4).clamp(HOLD_MIN, HOLD_MAX)
    }
}

/// Blocks the thread on purpose: it runs this connection only.
fn hold_still(hold: Duration) {
    if !hold.is_zero() {
        std::thread::sleep(hold);
    }
}
