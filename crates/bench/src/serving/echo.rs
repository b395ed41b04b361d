//! What NATS itself takes: a responder that gives back what it gets.

use std::io::Read;
use std::time::Duration;

use leat_messaging::{ConnectOptions, Connection, Subscription};
use tokio::sync::oneshot;

use crate::Error;
use crate::arguments::EchoOptions;

const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that are taken at once.
const BATCH: usize = 256;

/// Answers until standard input closes. Connection and responder share one thread, so that no request changes threads.
pub(crate) fn echo(options: &EchoOptions) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|cause| Error::Usage(format!("cannot start the asynchronous runtime: {cause}")))?;
    runtime.block_on(async {
        let connection =
            Connection::connect(&ConnectOptions::new(&options.url, "echo").patience(PATIENCE)).await?;
        let requests = connection.queue_subscribe(options.subject.as_str(), "q").await?;
        tokio::select! {
            outcome = give_back(&connection, requests) => outcome,
            _ = stdin_closes() => Ok(()),
        }
    })
}

/// Reading standard input blocks, so a thread does it. Whatever comes, the end is the signal: the sender is dropped.
fn stdin_closes() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        drop(end);
    });
    ended
}

async fn give_back(connection: &Connection, mut requests: Subscription) -> Result<(), Error> {
    let mut messages = Vec::with_capacity(BATCH);
    while requests.next_batch(&mut messages, BATCH).await > 0 {
        for message in messages.drain(..) {
            let (Some(reply), payload) = message.into_parts() else { continue };
            connection.publish(reply, payload).await?;
        }
    }
    Ok(())
}
