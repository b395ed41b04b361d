//! The service that merges what workers tell and what labels say into windows, alerts and metrics.
//!
//! No request waits for it, and losing it loses figures, never predictions. All that it writes besides is the end of a canary and that of
//! durable requests which nobody takes. Quantiles are computed here and
//! only here, from histograms that workers send as differences, so that they are those of all requests together.
//!
//! Reading order: [`Monitor`] (what comes in and what goes out), `observatory` (the state and what each message does to
//! it), then the parts of that state: `roster`, `workers`, `report`, `window`, `label_join`, `conditions`, `alerts`; `canary` (how a version
//! on trial does, and `rollouts`, which writes its end); `desired` (what should be served, refreshed in the background),
//! `publisher`, `metrics`; `overdue` (durable requests).

mod alerts;
mod canary;
mod conditions;
mod desired;
mod error;
mod label_join;
mod metrics;
mod observatory;
mod overdue;
mod progress;
mod publisher;
mod report;
mod rollouts;
mod roster;
mod service;
mod settings;
mod window;
mod workers;

pub use error::Error;
pub use service::Monitor;
pub use settings::{AlertSettings, Settings};
