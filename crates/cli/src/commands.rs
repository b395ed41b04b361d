//! One file per command: its arguments and what it does.

pub(crate) mod bench;
pub(crate) mod compress;
pub(crate) mod dead;
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod jobs;
pub(crate) mod label;
pub(crate) mod models;
pub(crate) mod predict;
pub(crate) mod result;
pub(crate) mod service;
pub(crate) mod status;
pub(crate) mod train;
pub(crate) mod up;
