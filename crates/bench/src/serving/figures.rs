//! What was measured, and how contenders compare.

use leat_contract::Encoding;
use serde::Serialize;

use super::targets::{self, Verdict};
use crate::arguments::{Server, ServingOptions};
use crate::timing::median;

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

    /// The median of a figure over the rounds.
    pub(super) fn median(&self, figure: fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(figure).collect())
    }
}

/// The median over the rounds of what two servers come to in the same round, so that what disturbs a round disturbs both. None when
/// one of them was not measured.
pub(super) fn compared(
    cells: &[Cell],
    [one, other]: [(Server, Encoding); 2],
    concurrency: usize,
    comparison: impl Fn(&Turn, &Turn) -> f64,
) -> Option<f64> {
    let find = |(server, encoding)| cells.iter().find(|cell| cell.is(server, encoding, concurrency));
    let turns = find(one)?.turns.iter().zip(&find(other)?.turns);
    Some(median(turns.map(|(one, other)| comparison(one, other)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_compared_round_by_round() {
        let cell = |server, rates: [f64; 3]| {
            let turns = rates.map(|per_second| Turn { per_second, p50_us: 1.0, p99_us: 2.0 });
            Cell { server, encoding: Encoding::Json, concurrency: 1, turns: turns.to_vec() }
        };
        // The machine was half as fast in the second round.
        let cells = [cell(Server::Leat, [80.0, 40.0, 82.0]), cell(Server::Echo, [100.0, 50.0, 100.0])];
        let pair = [(Server::Leat, Encoding::Json), (Server::Echo, Encoding::Json)];
        assert_eq!(compared(&cells, pair, 1, |one, other| one.per_second / other.per_second), Some(0.8));
        assert_eq!(compared(&cells, pair, 2, |one, _| one.per_second), None);
        assert_eq!(cells[0].median(|turn| turn.per_second), 80.0);
    }
}
