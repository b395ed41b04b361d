//! One question to everybody: discovery, where it is not known who there is.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use tokio::time::Instant;

use crate::{Connection, Error, Message};

/// Far above how many services one broker carries; what answers beyond it is not waited for.
const REPLIES_MAX: usize = 10_000;

/// How long replies are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Gathering {
    /// How long nobody may answer before it is over.
    pub stall: Duration,
    /// How long it takes at most.
    pub total: Duration,
}

impl Default for Gathering {
    fn default() -> Self {
        Self { stall: Duration::from_millis(300), total: Duration::from_secs(2) }
    }
}

impl Connection {
    /// Asks everybody who listens and gives what they answer (ADR-47 calls it a request for many).
    ///
    /// That nobody answers is an empty list. Fails when the question cannot be sent.
    pub async fn gather(
        &self,
        subject: impl Into<Subject>,
        payload: impl Into<Bytes>,
        gathering: Gathering,
    ) -> Result<Vec<Message>, Error> {
        let inbox = format!("_INBOX.{}", nuid::next());
        let mut replies = self.subscribe(inbox.as_str()).await?;
        let end = Instant::now() + gathering.total;
        self.publish_from(subject, &inbox, payload).await?;
        let mut answers = Vec::new();
        while answers.len() < REPLIES_MAX {
            // The first answer may be as slow as the slowest; the pause counts from it.
            let patience = if answers.is_empty() { gathering.total } else { gathering.stall };
            let until = end.min(Instant::now() + patience);
            match tokio::time::timeout_at(until, replies.next()).await {
                Ok(Some(message)) if message.status().is_none() => answers.push(message),
                _ => break,
            }
        }
        Ok(answers)
    }
}
