//! A collector of traces: an HTTP server that takes OTLP requests and decodes them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::fail;

/// A collector on a free loopback port, for as long as the process lasts.
pub struct Collector {
    /// Its address, as `OTEL_EXPORTER_OTLP_ENDPOINT` takes it.
    pub endpoint: String,
    /// What was sent to it, in order.
    pub received: Receiver<Received>,
}

/// A request that a collector got.
pub struct Received {
    /// Method, path and version.
    pub request_line: String,
    /// The body.
    pub spans: ExportTraceServiceRequest,
}

impl Collector {
    /// Starts it.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start() -> Self {
        let listening = || {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) =
            listening().unwrap_or_else(|error: io::Error| fail(&format!("no collector: {error}")));
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sender = sender.clone();
                // Who sends breaks off when it ends; what it sent before was passed on.
                std::thread::spawn(move || take_requests(stream, &sender));
            }
        });
        Self { endpoint: format!("http://{address}"), received }
    }
}

/// Takes every request of one connection.
fn take_requests(stream: TcpStream, sender: &Sender<Received>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut request_line = String::new();
        if reader.read_line(&mut request_line)? == 0 {
            return Ok(());
        }
        let mut body = vec![0; content_length(&mut reader)?];
        reader.read_exact(&mut body)?;
        let spans = ExportTraceServiceRequest::decode(body.as_slice()).map_err(io::Error::other)?;
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        if sender.send(Received { request_line, spans }).is_err() {
            return Ok(());
        }
    }
}

/// Reads the headers to their end.
fn content_length(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Ok(length);
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
}
