//! The least of an HTTP/1.1 client: what it sends is exactly what a test says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Reads the bytes of one reply.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect(), body: bytes[end + 4..].to_vec() })
    }
}

/// Sends one request and reads the reply to its end.
pub(super) async fn send(port: u16, request: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut head = format!("{request} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if !body.is_empty() {
        head += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let bytes = [head.as_bytes(), b"\r\n", body].concat();
    let reply = exchange(port, &bytes).await;
    Reply::read(&reply)
        .unwrap_or_else(|| panic!("no reply to {request}: {}", String::from_utf8_lossy(&reply)))
}

pub(super) async fn get(port: u16, path: &str) -> Reply {
    send(port, &format!("GET {path}"), &[], b"").await
}

pub(super) async fn post(port: u16, path: &str, body: &Value) -> Reply {
    send(port, &format!("POST {path}"), &[], body.to_string().as_bytes()).await
}

/// Sends bytes and gives whatever comes back until the other side closes. That it closes early is no failure.
pub(super) async fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut reply = Vec::new();
    let talk = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let (mut reading, mut writing) = stream.split();
        let write = async {
            let _ = writing.write_all(bytes).await;
        };
        let read = async {
            let _ = reading.read_to_end(&mut reply).await;
        };
        tokio::join!(write, read);
        Some(())
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("the gateway answers or closes");
    reply
}
