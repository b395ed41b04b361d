//! Ending subscriptions without losing what is under way.
//!
//! The client library stops accepting messages of a drained or ended subscription when its connection task is next polled, not when the
//! server confirms the end. What the server sent in between would be lost.
//!
//! A single subscription is therefore ended in two steps. First the server is asked to end it after more messages than it can count: a
//! number that it cannot read means at once to it (`processUnsub` and `parseSize` of nats-server), while the client library goes
//! on accepting. Then, after a round trip on the same connection, which brings everything the server had sent before, the client lets
//! it go as well. Nothing waits for that but whoever ends the subscription.
//!
//! A whole connection is ended by the library at once. On a connection with a thread of its own (`ConnectOptions::own_thread`) its task
//! is held still, after the request to end was written, until the server's last messages and its confirmation have surely
//! arrived in the socket. The next poll then reads all of them before the connection goes. On a shared runtime this cannot be done, and
//! messages that are under way at that moment can be lost.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::{Connection, Error, State, Subscription};

/// A number that nats-server does not read, since it has more than nine digits, and more messages than any subscription gets.
const BEYOND_COUNTING: u64 = u64::MAX / 2;

/// Long against a round trip in a data centre, short against the shutdown of a service.
const HOLD_MIN: Duration = Duration::from_millis(20);
const HOLD_MAX: Duration = Duration::from_secs(1);
/// How many round trips are measured; the longest one counts, because a busy machine makes single ones long.
const MEASUREMENTS: usize = 3;

impl Subscription {
    /// Asks the server to send no more. What it had sent before is still delivered; then the messages end.
    ///
    /// Loses nothing as long as what arrives until the server's confirmation fits into the capacity of the subscription.
    ///
    /// # Errors
    /// At once while disconnected, when the connection is lost meanwhile, and after `timeout` without a confirmation. The
    /// subscription is then as it was, or brings nothing more, and may be drained again.
    pub async fn drain(&mut self, timeout: Duration) -> Result<(), Error> {
        self.connection.ready()?;
        let Some(subscriber) = &mut self.subscriber else { return Ok(()) };
        let deadline = Instant::now() + timeout;
        let asked = tokio::time::timeout_at(deadline, subscriber.unsubscribe_after(BEYOND_COUNTING)).await;
        let too_late = |_| Error::Timeout { what: "drain".to_owned(), after: timeout };
        asked.map_err(too_late)?.map_err(|_| Error::Disconnected)?;
        self.connection.round_trip(deadline.saturating_duration_since(Instant::now())).await?;
        let ended = tokio::time::timeout_at(deadline, subscriber.unsubscribe()).await;
        ended.map_err(too_late)?.map_err(|_| Error::Disconnected)
    }
}

impl Connection {
    /// Ends all subscriptions, sends what is queued, and closes the connection. Fails at once when the connection is lost.
    ///
    /// Loses nothing on a connection with a thread of its own, as long as what arrives within four round trips fits into the
    /// capacity of each subscription. Those that must lose nothing elsewhere are drained first, one by one.
    pub async fn drain(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + timeout;
        if self.is_connected() {
            self.flush(timeout).await?;
        }
        // A connection that is lost is closed all the same.
        let hold = self.hold(deadline - Instant::now()).await.unwrap_or(Duration::ZERO);
        let (client, lost) = (self.inner().client.clone(), self.state());
        let draining = async move {
            let drained = client.drain().now_or_never();
            let _ = write(&client, lost, timeout).await;
            hold_still(hold);
            matches!(drained, Some(Ok(())))
        };
        let drained = match &self.inner().thread {
            Some(thread) => thread.run(draining).await?,
            None => draining.await,
        };
        let mut state = self.state();
        let ended =
            tokio::time::timeout_at(deadline, state.wait_for(|state| *state != State::Connected)).await;
        match ended.map(|state| state.map_or(State::Closed, |state| *state)) {
            Ok(State::Closed) => Ok(()),
            Ok(_) => Err(Error::Disconnected),
            Err(_) if !drained => Err(Error::Disconnected),
            Err(_) => Err(Error::Timeout { what: "drain of the connection".to_owned(), after: timeout }),
        }
    }

    /// How long to hold the connection still: several round trips, measured now; nothing without a thread of its own.
    /// Fails when the connection was lost meanwhile.
    async fn hold(&self, timeout: Duration) -> Result<Duration, Error> {
        if self.inner().thread.is_none() {
            return Ok(Duration::ZERO);
        }
        let mut longest = Duration::ZERO;
        for _ in 0..MEASUREMENTS {
            match self.round_trip(timeout.min(HOLD_MAX)).await {
                Ok(measured) => longest = longest.max(measured),
                Err(Error::Timeout { .. }) => return Ok(HOLD_MAX),
                Err(lost) => return Err(lost),
            }
        }
        Ok((longest * 4).clamp(HOLD_MIN, HOLD_MAX))
    }
}

/// Writes out what is queued. Without a connection the client would wait for the next one.
async fn write(
    client: &async_nats::Client,
    mut state: watch::Receiver<State>,
    timeout: Duration,
) -> Result<(), Error> {
    let lost = state.wait_for(|state| *state != State::Connected);
    tokio::select! {
        written = tokio::time::timeout(timeout, client.flush()) => match written {
            Ok(flushed) => flushed.map_err(|_| Error::Disconnected),
            Err(_) => Err(Error::Timeout { what: "drain".to_owned(), after: timeout }),
        },
        _ = lost => Err(Error::Disconnected),
    }
}

/// Blocks the thread on purpose. Whatever else lives on it waits as well, `HOLD_MAX` at most.
fn hold_still(hold: Duration) {
    if !hold.is_zero() {
        std::thread::sleep(hold);
    }
}
