//! Everything said to the broker: connect, request, serve, queue work, keep values, objects and events.
//!
//! This is the only crate that names the NATS client library, and the place where its traps are closed: every call
//! is bounded in time and fails at once while disconnected, nothing is prefetched, watches and followers outlive a
//! restart of the broker, and a drained subscription loses no message. It knows no model and no service.
//!
//! Reading order: [`ConnectOptions`] and [`Connection`]; [`Message`], [`Headers`] and [`Subscription`];
//! then what is stored: [`Storage`], [`KeyValue`], [`Objects`], [`WorkQueue`], [`EventLog`];
//! at last [`micro`], by which `nats micro` sees a service, and [`trace`].

mod connect;
mod connection;
mod drain;
mod error;
mod event_log;
mod gather;
mod headers;
mod idempotent;
mod jetstream;
mod jitter;
mod key_value;
mod message;
mod objects;
mod own_thread;
mod provision;
mod publish;
mod reader;
mod reply;
mod requests;
mod state;
mod storage;
mod stored;
mod subscription;
mod work_queue;

pub mod micro;
pub mod trace;

pub use connect::{ConnectOptions, Credentials, Tls};
pub use connection::Connection;
pub use error::Error;
pub use event_log::{EventLog, Follower, Position};
pub use gather::Gathering;
pub use headers::Headers;
pub use idempotent::{Answer, Patience};
pub use key_value::{Change, Entry, KeyValue, Watch, Watched};
pub use message::Message;
pub use objects::{ObjectSummary, Objects};
pub use publish::Stored;
pub use reply::Reply;
pub use state::State;
pub use storage::Storage;
pub use stored::StoredMessage;
pub use subscription::Subscription;
pub use work_queue::{Backlog, Delivery, Look, QueueDepth, Waiting, WorkQueue};

/// A subject that can be cloned without copying its text: what [`Message::reply`] gives and publishing takes.
pub use async_nats::Subject;
