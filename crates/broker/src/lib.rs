//! A NATS server with JetStream: found or fetched, checked, started, restarted and stopped.
//!
//! `leat up` and the tests run on a server of their own; this crate is where it comes from. It never speaks
//! to the broker beyond its greeting (that is `leat-messaging`) and never changes a server it did not start.
//!
//! Reading order: [`find_binary`] looks for a server in a fixed order and, as the last resort, fetches a pinned
//! one whose checksum is compiled in; [`Broker`] runs it on the loopback interface until it is dropped.

mod broker;
mod cache;
mod configuration;
mod error;
mod fetch;
mod find;
mod greeting;
mod note;
mod pinned;
mod process;
mod version;

pub use broker::{Broker, BrokerOptions};
pub use error::Error;
pub use find::{Binary, Found, Search, Source, find, find_binary};
pub use note::Note;
pub use pinned::PINNED_VERSION;
pub use version::{binary_version, check_version};
