//! Open- and closed-loop load on one target, and how long the answers took.
//!
//! A closed loop keeps a number of requests outstanding: each requester waits for its answer before it asks again, so a server
//! that stalls is asked less often and its stall is seen by few requests. An open loop asks at its own times whatever the
//! server does, and counts each latency from the moment at which the request *should* have been sent. That is the correction
//! for coordinated omission (Tene, "How NOT to measure latency", 2013; `wrk2`).
//!
//! The crate sends each request once and never again, looks at no answer beyond whether it is an error, and knows no model.
//! The NATS and the HTTP client run in the process of the load; what they take is part of what is measured, for every server alike.
//!
//! Reading order: [`Target`] and [`Caller`] (where requests go), [`Pace`] (how hard), [`Load`] (runs a step), [`StepReport`] and
//! [`Percentiles`] (what became of it), [`ServerTimes`] (what the workers themselves say).

mod arrivals;
mod caller;
mod closed_loop;
mod error;
mod failure;
mod http_caller;
mod open_loop;
mod percentiles;
mod report;
mod server_times;
mod step;
mod tally;
mod target;

pub use arrivals::{Arrivals, Schedule};
pub use caller::Caller;
pub use error::Error;
pub use failure::Failure;
pub use percentiles::Percentiles;
pub use report::StepReport;
pub use server_times::ServerTimes;
pub use step::{Load, Pace};
pub use target::{HttpTarget, NatsTarget, Target};
