//! A collector of traces: an HTTP server that takes OTLP requests and decodes them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

pub(crate) struct Collector {
    pub(crate) endpoint: String,
    pub(crate) received: Receiver<Received>,
}

pub(crate) struct Received {
    pub(crate) request_line: String,
    pub(crate) spans: ExportTraceServiceRequest,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                take_requests(stream.unwrap(), &sender);
            }
        });
        Self { endpoint, received }
    }
}

/// Takes every request of one connection.
fn take_requests(stream: TcpStream, sender: &Sender<Received>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut request_line = String::new();
        if reader.read_line(&mut request_line).unwrap_or(0) == 0 {
            return;
        }
        let mut body = vec![0; content_length(&mut reader)];
        reader.read_exact(&mut body).unwrap();
        let spans = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        if sender.send(Received { request_line, spans }).is_err() {
            return;
        }
    }
}

/// Reads the headers to their end.
fn content_length(reader: &mut impl BufRead) -> usize {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return length;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
}
