//! The service that takes HTTP and gRPC onto the same subjects.
//!
//! It speaks the Open Inference Protocol V2 over HTTP and gRPC with those extensions of Triton that mean something here, and
//! TensorFlow Serving's REST. It never loads a model or computes anything: a request that comes in leaves as one message on
//! the subject of its model, and the worker's reply goes back. A body that is already what the worker reads is passed on
//! as it came.
//!
//! The way of a request: `listener`, `threads`, `connection` and `panics` bound what a client may do, `edge` lets it in
//! (`keys`, `cors`), reads its `body` (`coding`, `memory`) and finds its `route`; `v2`, `grpc` and `tfs` are the protocols;
//! `workers` asks, `parts` cuts what is too large for one message, `payloads` sends what cannot be cut as an object, and `refusal` says
//! no in the words of each protocol.
//!
//! Around it: `service` starts and stops everything, `served` follows what should be served, `repository`, `statistics` and
//! `model_config` tell of models, `outline`, `elements` and `raw_type` look at bytes, `metrics` counts, `openapi` describes, `replaced` reads
//! anew what operators replace.

mod answer;
mod body;
mod coding;
mod connection;
mod cors;
pub mod decoding;
mod edge;
mod elements;
mod error;
mod grpc;
mod keys;
mod listener;
mod memory;
mod metrics;
mod model_config;
mod openapi;
mod outline;
mod panics;
mod parts;
mod payloads;
mod raw_type;
mod refusal;
mod replaced;
mod repository;
mod route;
mod served;
mod service;
mod settings;
mod statistics;
mod tfs;
mod threads;
mod tls;
mod v2;
mod wire;
mod workers;

pub use error::Error;
pub use keys::KeySettings;
pub use service::Gateway;
pub use settings::Settings;
