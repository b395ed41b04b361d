//! What serving shall reach.

use leat_contract::Encoding::{Json, MessagePack};
use serde::Serialize;

use super::calmest::Median;
use super::figures::{Cell, Turn, compared};
use crate::arguments::Server::{Echo, FastApi, Gateway, Leat, NatsPy};

/// A target and what was found.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    pub(super) target: &'static str,
    /// None when a server was not measured.
    pub(super) found: Option<Median>,
    pub(super) is_met: Option<bool>,
}

/// Looks at every target.
pub(super) fn judge(cells: &[Cell]) -> Vec<Verdict> {
    let rate = |one: &Turn, other: &Turn| one.per_second / other.per_second;
    let of = |pair, concurrency, comparison: fn(&Turn, &Turn) -> f64| {
        compared(cells, pair, concurrency, comparison)
    };
    let (ours, gateway) = ((Leat, MessagePack), (Gateway, Json));
    let (echo, nats_py, fastapi) = ((Echo, MessagePack), (NatsPy, MessagePack), (FastApi, Json));
    vec![
        at_least(
            "leat, MessagePack, c = 16: req/s at least 0.90 of the echo's",
            of([ours, echo], 16, rate),
            0.9,
        ),
        at_least(
            "leat, MessagePack, c = 64: req/s at least 0.90 of the echo's",
            of([ours, echo], 64, rate),
            0.9,
        ),
        at_most(
            "leat, MessagePack, c = 1: p50 at most 25 µs over the echo's",
            of([ours, echo], 1, |one, other| one.p50_us - other.p50_us),
            25.0,
        ),
        at_least(
            "leat, MessagePack, c = 16: req/s at least 2.5 times nats-py's",
            of([ours, nats_py], 16, rate),
            2.5,
        ),
        at_least(
            "leat, MessagePack, c = 64: req/s at least 2.5 times nats-py's",
            of([ours, nats_py], 64, rate),
            2.5,
        ),
        at_least(
            "gateway, JSON, c = 64: req/s at least 4 times FastAPI's",
            of([gateway, fastapi], 64, rate),
            4.0,
        ),
        at_most(
            "gateway, JSON, c = 1: p50 under 2 times that over NATS",
            of([gateway, (Leat, Json)], 1, |one, other| one.p50_us / other.p50_us),
            2.0,
        ),
    ]
}

fn at_least(target: &'static str, found: Option<Median>, limit: f64) -> Verdict {
    Verdict { target, found, is_met: found.map(|found| found.value >= limit) }
}

fn at_most(target: &'static str, found: Option<Median>, limit: f64) -> Verdict {
    Verdict { target, found, is_met: found.map(|found| found.value <= limit) }
}
