//! What can be set, in section `[gateway]` or as `LEAT_GATEWAY__<FIELD>`.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use leat_service_runtime::{Invalid, Validate, within};
use serde::{Deserialize, Deserializer, Serialize};

use crate::keys::KeySettings;

/// Each thread costs a connection to the broker.
const THREADS_MAX: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// What can be set, in section `[gateway]` or as `LEAT_GATEWAY__<FIELD>`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where HTTP is taken; the port that users of Triton expect. Only this machine unless set otherwise.
    pub http_bind: SocketAddr,
    /// Where gRPC is taken, likewise. gRPC is also understood on the HTTP port.
    pub grpc_bind: SocketAddr,
    /// Threads that carry connections of clients, each with a connection of its own to the broker. One for each processor unless set.
    pub threads: NonZeroUsize,
    /// Certificate chain to show, PEM; needs the key. With both, both ports speak TLS only.
    pub tls_certificate_file: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    pub tls_key_file: Option<PathBuf>,
    /// Who may ask. Without any key here, and without `keys_file`, everybody may.
    pub keys: Vec<KeySettings>,
    /// A JSON file with a list of further keys, each an object with the fields of `keys`.
    pub keys_file: Option<PathBuf>,
    /// How often the files of the certificate and of the keys are looked at, in milliseconds. When they changed, connections that are opened
    /// and requests that are made afterwards meet what stands there then; what cannot be used is told, and the former stays.
    /// An empty list of keys lets nobody in.
    pub files_check_ms: u64,
    /// Origins whose pages may ask from a browser, for example `https://board.example`; `*` for all. None by default. One text
    /// with commas, as variables have it, is a list too.
    #[serde(deserialize_with = "list")]
    pub cors_origins: Vec<String>,
    /// Bytes of one request body, decompressed. 64 MiB, as Triton has it.
    pub body_bytes_max: usize,
    /// Bytes of all request bodies that are held at the same time, so that many large ones cannot fill the memory. What is made of them
    /// on the way to the workers comes on top: a process was seen to take up to five times as much.
    pub bodies_bytes_max: usize,
    /// Bytes of a request, and of a reply, that goes through the object store of the broker because no message can hold it and rows
    /// cannot be cut. As many as a body may have; 0 refuses what does not fit into messages.
    pub object_bytes_max: usize,
    /// Nesting of a JSON body. 100, as Triton has it.
    pub json_depth_max: usize,
    /// Open connections on each port; further ones wait in the kernel's queue.
    pub connections_max: usize,
    /// Streams of one HTTP/2 connection at the same time.
    pub streams_max: u32,
    /// How long a client may take to send the headers of a request, in milliseconds, TLS included.
    pub header_timeout_ms: u64,
    /// How long a client may take to send a body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a connection may be open without a request, in milliseconds. One of HTTP/1 is closed after `header_timeout_ms` already,
    /// which counts from the end of the request before.
    pub idle_timeout_ms: u64,
    /// How long a request for inference may take when it does not say, in milliseconds.
    pub request_timeout_ms: u64,
    /// How long a request may take whatever it says, in milliseconds.
    pub request_timeout_max_ms: u64,
    /// How long loading a model through the repository waits for the workers, in milliseconds.
    pub load_timeout_ms: u64,
    /// Parts of one split request that are asked at the same time.
    pub parts_at_once: usize,
    /// How long a gateway that is told to stop goes on taking connections while it says that it is not ready, in milliseconds: as long as a
    /// load balancer needs to notice. Answers over HTTP/1 end their connection meanwhile. Requests in hand must be answered in what is left then of the time for stopping, `shutdown.deadline_ms`.
    pub leaving_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http_bind: (Ipv4Addr::LOCALHOST, 8000).into(),
            grpc_bind: (Ipv4Addr::LOCALHOST, 8001).into(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).min(THREADS_MAX),
            tls_certificate_file: None,
            tls_key_file: None,
            keys: Vec::new(),
            keys_file: None,
            files_check_ms: 10_000,
            cors_origins: Vec::new(),
            body_bytes_max: 64 * 1024 * 1024,
            bodies_bytes_max: 256 * 1024 * 1024,
            object_bytes_max: 64 * 1024 * 1024,
            json_depth_max: 100,
            connections_max: 1024,
            streams_max: 256,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 60_000,
            request_timeout_ms: 10_000,
            request_timeout_max_ms: 300_000,
            load_timeout_ms: 60_000,
            parts_at_once: 4,
            leaving_ms: 0,
        }
    }
}

impl Settings {
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn files_check(&self) -> Duration {
        Duration::from_millis(self.files_check_ms)
    }

    /// What a caller wants, but not more than may be.
    pub(crate) fn at_most(&self, wanted: Duration) -> Duration {
        wanted.min(Duration::from_millis(self.request_timeout_max_ms))
    }
}

impl Validate for Settings {
    fn validate(&self) -> Result<(), Invalid> {
        if self.tls_certificate_file.is_some() != self.tls_key_file.is_some() {
            return Err(Invalid::new("tls_certificate_file", "certificate and key go together"));
        }
        let ports_collide = self.http_bind == self.grpc_bind && self.http_bind.port() != 0;
        if ports_collide {
            return Err(Invalid::new("grpc_bind", format!("{} is the address of HTTP too", self.grpc_bind)));
        }
        self.keys.iter().try_for_each(KeySettings::check)?;
        within("files_check_ms", self.files_check_ms, 100..=3_600_000)?;
        within("threads", self.threads.get(), 1..=THREADS_MAX.get())?;
        within("body_bytes_max", self.body_bytes_max, 1024..=leat_contract::limits::PAYLOAD_BYTES_MAX)?;
        within("bodies_bytes_max", self.bodies_bytes_max, self.body_bytes_max..=1 << 40)?;
        within("object_bytes_max", self.object_bytes_max, 0..=leat_contract::limits::PAYLOAD_BYTES_MAX)?;
        within("json_depth_max", self.json_depth_max, 8..=120)?;
        within("connections_max", self.connections_max, 1..=100_000)?;
        within("streams_max", self.streams_max, 1..=10_000)?;
        within("header_timeout_ms", self.header_timeout_ms, 100..=600_000)?;
        within("body_timeout_ms", self.body_timeout_ms, 100..=3_600_000)?;
        within("idle_timeout_ms", self.idle_timeout_ms, 100..=3_600_000)?;
        within("request_timeout_max_ms", self.request_timeout_max_ms, 1..=3_600_000)?;
        within("request_timeout_ms", self.request_timeout_ms, 1..=self.request_timeout_max_ms)?;
        within("load_timeout_ms", self.load_timeout_ms, 100..=3_600_000)?;
        within("leaving_ms", self.leaving_ms, 0..=600_000)?;
        within("parts_at_once", self.parts_at_once, 1..=64)
    }

    fn validate_stopping(&self, deadline: Duration) -> Result<(), Invalid> {
        let (leaving, deadline_ms) = (Duration::from_millis(self.leaving_ms), deadline.as_millis());
        if leaving < deadline {
            return Ok(());
        }
        let reason = format!(
            "{} leaves no time for requests in hand within shutdown.deadline_ms = {deadline_ms}",
            self.leaving_ms
        );
        Err(Invalid::new("leaving_ms", reason))
    }
}

/// A list of texts, or one text with commas between them.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(list) => list,
        Written::Text(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_a_list_or_a_text_with_commas() {
        let read = |origins: serde_json::Value| {
            let settings = serde_json::json!({ "cors_origins": origins });
            serde_json::from_value::<Settings>(settings).unwrap().cors_origins
        };
        assert_eq!(read(serde_json::json!(["https://a", "https://b"])), ["https://a", "https://b"]);
        assert_eq!(read(serde_json::json!("https://a, https://b")), ["https://a", "https://b"]);
    }

    #[test]
    fn the_defaults_make_sense_and_contradictions_are_refused() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let half = Settings { tls_key_file: Some("key.pem".into()), ..Settings::default() };
        assert!(half.validate().is_err());
        let same = Settings { grpc_bind: Settings::default().http_bind, ..Settings::default() };
        assert!(same.validate().unwrap_err().to_string().starts_with("grpc_bind"));
        let leaving = Settings { leaving_ms: 25_000, ..Settings::default() };
        assert_eq!(leaving.validate_stopping(Duration::from_millis(25_001)), Ok(()));
        let refused = leaving.validate_stopping(Duration::from_secs(25)).unwrap_err().to_string();
        assert!(refused.starts_with("leaving_ms") && refused.contains("25000"), "{refused}");
    }
}
