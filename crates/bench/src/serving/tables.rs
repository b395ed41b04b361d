//! The figures for people.

use comfy_table::{Table, presets};

use super::figures::{Cell, Run, Turn, compared};
use super::lane::title;
use super::targets::Verdict;
use crate::arguments::Server;
use crate::report::align;

/// Everything that is printed at the end.
pub(super) fn of(run: &Run) -> String {
    let verdicts: Vec<String> = run.verdicts.iter().map(verdict).collect();
    let watched = run.cells.iter().flat_map(|cell| &cell.turns).any(|turn| turn.disturbance.is_some());
    // A row's ratio need not be that of the medians beside it.
    let note = if watched {
        "\nThe least disturbed rounds count, of each figure and of each ratio its own.\n"
    } else {
        ""
    };
    format!("{note}\n{}\n\n{}", figures(&run.cells), verdicts.join("\n"))
}

fn figures(cells: &[Cell]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["server", "encoding", "c", "req/s", "p50 µs", "p99 µs", "of echo", "× peer"]);
    for cell in cells {
        table.add_row(row(cell, cells));
    }
    align(&mut table, 2);
    table
}

fn row(cell: &Cell, cells: &[Cell]) -> Vec<String> {
    let own = (cell.server, cell.encoding);
    let rate = |one: &Turn, other: &Turn| one.per_second / other.per_second;
    let over = |server, encoding| {
        compared(cells, [own, (server, encoding)], cell.concurrency, rate).map(|found| found.value)
    };
    let of_echo = if cell.server == Server::Echo { None } else { over(Server::Echo, cell.encoding) };
    let of_peer = peer(cell.server).and_then(|peer| over(peer, cell.encoding));
    vec![
        title(cell.server).to_owned(),
        cell.encoding.to_string(),
        cell.concurrency.to_string(),
        format!("{:.0}", cell.median(|turn| turn.per_second)),
        format!("{:.0}", cell.median(|turn| turn.p50_us)),
        format!("{:.0}", cell.median(|turn| turn.p99_us)),
        of_echo.map(|ratio| format!("{:.0} %", ratio * 100.0)).unwrap_or_default(),
        of_peer.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
    ]
}

/// Who does the same in Python.
const fn peer(server: Server) -> Option<Server> {
    match server {
        Server::Leat => Some(Server::NatsPy),
        Server::Gateway => Some(Server::FastApi),
        Server::Echo | Server::NatsPy | Server::FastApi => None,
    }
}

fn verdict(Verdict { target, found, is_met }: &Verdict) -> String {
    match (found, is_met) {
        (Some(found), Some(true)) => format!("- met: {target} ({found})"),
        (Some(found), _) => format!("- **not met**: {target} ({found})"),
        (None, _) => format!("- not measured: {target}"),
    }
}
