//! Requests that may be asked again, because answering them twice changes nothing.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use tokio::time::Instant;

use crate::jitter::jittered;
use crate::{Connection, Error, Headers, Reply, State};

/// The shortest and the longest wait before asking again, when the service does not name one.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How long an idempotent request is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How long one attempt waits for its reply: a worker that died with the request inside says nothing.
    pub attempt: Duration,
    /// How long all attempts and the pauses between them may take.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempt: Duration::from_secs(2), total: Duration::from_secs(10) }
    }
}

/// A reply and what it took to get it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The reply.
    pub reply: Reply,
    /// How often the request was sent, 1 at best.
    pub attempts: u32,
}

impl Connection {
    /// Asks until there is a reply, an error that asking again cannot mend, or no time left.
    ///
    /// Only for requests that change nothing, such as inference: a request whose reply was lost is sent again. The error
    /// is that of the last attempt.
    pub async fn request_idempotent(
        &self,
        subject: impl Into<Subject>,
        headers: &Headers,
        payload: impl Into<Bytes>,
        patience: &Patience,
    ) -> Result<Answer, Error> {
        let (subject, payload): (Subject, Bytes) = (subject.into(), payload.into());
        let deadline = Instant::now() + patience.total;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let attempt = patience.attempt.min(left);
            let error =
                match self.request_with(subject.clone(), headers.clone(), payload.clone(), attempt).await {
                    Ok(reply) => return Ok(Answer { reply, attempts }),
                    Err(error) => error,
                };
            let pause = pause_after(&error, attempts);
            let is_worth_another = error.is_retryable() && Instant::now() + pause < deadline;
            if !is_worth_another {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            self.wait_until_connected(deadline).await;
        }
    }

    /// Waits until calls go through again, the connection is closed or refused, or the time is over.
    async fn wait_until_connected(&self, deadline: Instant) {
        let mut state = self.state();
        let settled = state.wait_for(|state| *state != State::Disconnected);
        // Whatever ended the waiting, the next attempt finds out what is the case.
        let _ = tokio::time::timeout_at(deadline, settled).await;
    }
}

/// What the service asked for; none after silence, which was wait enough; else longer each time, at random.
fn pause_after(error: &Error, attempts: u32) -> Duration {
    match error {
        Error::Service(detail) if detail.retry_after_ms.is_some() => {
            Duration::from_millis(detail.retry_after_ms.unwrap_or_default())
        }
        Error::Timeout { .. } => Duration::ZERO,
        _ => jittered((PAUSE_MIN * 2_u32.saturating_pow(attempts.min(8))).min(PAUSE_MAX)),
    }
}
