//! Everything this crate promises, against a real server.

mod connection;
mod drain;
mod event_log;
mod key_value;
mod micro;
mod objects;
mod provision;
mod support;
mod trace;
mod work_queue;
