//! A line to the broker on which everything takes a while, as between two cities.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A listener that passes on to the broker, every byte `delay` later in each direction.
pub(crate) struct DelayedLine {
    pub(crate) url: String,
    accepting: JoinHandle<()>,
}

impl DelayedLine {
    pub(crate) async fn start(broker_url: &str, delay: Duration) -> Self {
        let target = broker_url.trim_start_matches("nats://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let broker = TcpStream::connect(&target).await.unwrap();
                let ((from_client, to_client), (from_broker, to_broker)) =
                    (client.into_split(), broker.into_split());
                pass_on(from_client, to_broker, delay);
                pass_on(from_broker, to_client, delay);
            }
        });
        Self { url, accepting }
    }
}

impl Drop for DelayedLine {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}
