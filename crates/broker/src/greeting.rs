//! The first line a server sends: who it is and whether it stores streams.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The INFO line is below 1 KiB; more than this is no NATS server.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// What is read of the greeting.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) stores_streams: bool,
}

/// Connects, reads the greeting and waits for the answer to a ping.
pub(crate) async fn greet(port: u16) -> Result<Greeting, String> {
    tokio::time::timeout(ATTEMPT_TIMEOUT, exchange(port))
        .await
        .map_err(|_| format!("port {port} did not answer within {ATTEMPT_TIMEOUT:?}"))?
}

async fn exchange(port: u16) -> Result<Greeting, String> {
    let failed = |error: std::io::Error| format!("port {port}: {error}");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(failed)?;
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader.take(LINE_BYTES_MAX));
    let mut line = String::new();
    reader.read_line(&mut line).await.map_err(failed)?;
    let greeting = parse(&line).ok_or_else(|| format!("port {port} is no NATS server"))?;
    writer.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").await.map_err(failed)?;
    line.clear();
    reader.read_line(&mut line).await.map_err(failed)?;
    match line.trim() {
        "PONG" => Ok(greeting),
        other => Err(format!("port {port} answered a ping with {other:?}")),
    }
}

fn parse(line: &str) -> Option<Greeting> {
    let information: serde_json::Value = serde_json::from_str(line.strip_prefix("INFO ")?.trim()).ok()?;
    Some(Greeting {
        version: information.get("version")?.as_str()?.to_owned(),
        stores_streams: information.get("jetstream").and_then(serde_json::Value::as_bool).unwrap_or(false),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_version_and_streams_from_the_greeting() {
        let greeting = parse("INFO {\"version\":\"2.12.8\",\"jetstream\":true,\"extra\":1}\r\n").unwrap();
        assert_eq!(greeting.version, "2.12.8");
        assert!(greeting.stores_streams);
    }

    #[test]
    fn refuses_what_is_no_greeting() {
        for line in ["", "HTTP/1.1 400 Bad Request", "INFO", "INFO {}", "INFO not json"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
