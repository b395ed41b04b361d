//! What was measured, and how contenders compare.

use leat_contract::Encoding;
use serde::Serialize;

use super::calmest::{Median, Sample, of_calmest};
use super::targets::{self, Verdict};
use crate::arguments::{Server, ServingOptions};
use crate::watch::Disturbance;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    seconds: f64,
    rounds: usize,
    connections: usize,
    pub(super) cells: Vec<Cell>,
    pub(super) verdicts: Vec<Verdict>,
}

/// One server with one encoding and concurrency.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) server: Server,
    pub(super) encoding: Encoding,
    pub(super) concurrency: usize,
    /// One for each round.
    pub(super) turns: Vec<Turn>,
}

/// What one turn gave.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Turn {
    pub(super) per_second: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// How disturbed the processors were meanwhile, from the warm-up to the last answer; none when nobody watched.
    pub(super) disturbance: Option<Disturbance>,
}

impl Run {
    pub(super) fn new(options: &ServingOptions, cells: Vec<Cell>) -> Self {
        let verdicts = targets::judge(&cells);
        let ServingOptions { seconds, rounds, connections, .. } = *options;
        Self { seconds, rounds, connections, cells, verdicts }
    }
}

impl Cell {
    pub(super) fn new(server: Server, encoding: Encoding, concurrency: usize) -> Self {
        Self { server, encoding, concurrency, turns: Vec::new() }
    }

    pub(super) fn is(&self, server: Server, encoding: Encoding, concurrency: usize) -> bool {
        (self.server, self.encoding, self.concurrency) == (server, encoding, concurrency)
    }

    /// The median of a figure over the rounds that count.
    pub(super) fn median(&self, figure: fn(&Turn) -> f64) -> f64 {
        of_calmest(
            self.turns
                .iter()
                .map(|turn| Sample { value: figure(turn), disturbance: turn.disturbance })
                .collect(),
        )
        .value
    }
}

/// The median, over the rounds in which both turns count, of what two servers come to in the same round, so that what disturbs a round
/// disturbs both. None when one of them was not measured.
pub(super) fn compared(
    cells: &[Cell],
    [one, other]: [(Server, Encoding); 2],
    concurrency: usize,
    comparison: impl Fn(&Turn, &Turn) -> f64,
) -> Option<Median> {
    let find = |(server, encoding)| cells.iter().find(|cell| cell.is(server, encoding, concurrency));
    let turns = find(one)?.turns.iter().zip(&find(other)?.turns);
    let sample = |(one, other): (&Turn, &Turn)| {
        let disturbance = one.disturbance.zip(other.disturbance).map(|(one, other)| one.and(other));
        Sample { value: comparison(one, other), disturbance }
    };
    Some(of_calmest(turns.map(sample).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_compared_round_by_round() {
        let cell = |server, rates: [f64; 3]| {
            let turns =
                rates.map(|per_second| Turn { per_second, p50_us: 1.0, p99_us: 2.0, disturbance: None });
            Cell { server, encoding: Encoding::Json, concurrency: 1, turns: turns.to_vec() }
        };
        // The machine was half as fast in the second round.
        let cells = [cell(Server::Leat, [80.0, 40.0, 82.0]), cell(Server::Echo, [100.0, 50.0, 100.0])];
        let pair = [(Server::Leat, Encoding::Json), (Server::Echo, Encoding::Json)];
        let found = compared(&cells, pair, 1, |one, other| one.per_second / other.per_second);
        assert_eq!(found, Some(Median { value: 0.8, rounds: 3, counted: 3, disturbance: None }));
        assert_eq!(compared(&cells, pair, 2, |one, _| one.per_second), None);
        assert_eq!(cells[0].median(|turn| turn.per_second), 80.0);
    }

    #[test]
    fn a_round_counts_when_neither_turn_was_disturbed() {
        // In one of four rounds nobody was disturbed, in one each of them, in one both.
        let cell = |server, is_disturbed: fn(usize) -> bool| {
            let turn = |round| {
                let disturbance = Some(Disturbance { stolen_ms: u64::from(is_disturbed(round)), slow: 0.0 });
                let per_second = if is_disturbed(round) { 1.0 } else { 2.0 };
                Turn { per_second, p50_us: 1.0, p99_us: 2.0, disturbance }
            };
            Cell { server, encoding: Encoding::Json, concurrency: 1, turns: (0..80).map(turn).collect() }
        };
        let cells = [
            cell(Server::Leat, |round| round % 4 == 1 || round % 4 == 3),
            cell(Server::Echo, |round| round % 4 >= 2),
        ];
        let pair = [(Server::Leat, Encoding::Json), (Server::Echo, Encoding::Json)];
        let found = compared(&cells, pair, 1, |one, other| 10.0 * one.per_second + other.per_second);
        let disturbance = Some(Disturbance::default());
        assert_eq!(found, Some(Median { value: 22.0, rounds: 80, counted: 20, disturbance }));
    }
}
