//! Everything this crate promises, against a real server.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how the helpers of a test fail")]

mod backlog;
mod certificates;
mod connection;
mod credentials;
mod delayed_line;
mod drain;
mod event_log;
mod guarded_server;
mod key_value;
mod micro;
mod objects;
mod provision;
mod support;
mod trace;
mod work_queue;
