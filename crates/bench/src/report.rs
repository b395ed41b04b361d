//! What is printed and written.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use comfy_table::{CellAlignment, Table, presets};

use crate::Error;
use crate::contender::Engine;
use crate::engine::{Cell, Run};
use crate::timing::Rounds;

pub(crate) fn fail(error: &Error) -> ExitCode {
    // Whoever does not listen needs no answer; the exit code says it too.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}

pub(crate) fn opening(run: &Run) -> Result<(), Error> {
    let roofline = run.roofline;
    let arithmetic = match (roofline.f32_per_ns, roofline.u8_per_ns) {
        (Some(real), Some(integer)) => {
            format!("{:.0} GFLOP/s in f32, {:.0} GOP/s in int8, ", real * 2.0, integer * 2.0)
        }
        _ => String::new(),
    };
    say(&format!(
        "{}: at best {arithmetic}{:.1} GB/s from memory, one thread",
        run.cpu, roofline.bytes_per_ns
    ))
}

/// One cell as soon as it is known.
pub(crate) fn line(cell: &Cell) -> Result<(), Error> {
    let times: Vec<String> = cell
        .times
        .iter()
        .map(|time| format!("{} {} µs", time.engine.name(), microseconds(time.us)))
        .collect();
    let Rounds { all, calm, counted } = cell.rounds;
    let counted = match calm < all {
        true => format!(" ({counted} of {all} rounds, {calm} of them calm)"),
        false => String::new(),
    };
    say(&format!("{} {} batch {}: {}{counted}", cell.shape, cell.kind.name(), cell.batch, times.join(", ")))
}

pub(crate) fn tables(run: &Run) -> Result<(), Error> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let has_peers = run.cells.iter().any(|cell| cell.time(Engine::OnnxRuntime).is_some());
    let mut header = vec!["shape", "weights", "batch", "leat µs", "of peak"];
    if has_peers {
        header.extend(["onnx runtime µs", "ratio", "tract µs", "ratio"]);
    }
    table.set_header(header);
    for cell in &run.cells {
        table.add_row(row(cell, has_peers));
    }
    align(&mut table, 2);
    let pruned = beside_ourselves(run, Engine::LeatUnpruned, "not pruned µs");
    let threads = beside_ourselves(run, Engine::LeatThreads, "several threads µs");
    let tables = [table, exact(run), pruned, threads, compilations(run)];
    tables.iter().filter(|table| !table.is_empty()).try_for_each(|table| say(&format!("\n{table}")))
}

/// Prints a line. A reader that went away ends the benchmark.
pub(crate) fn say(text: &str) -> Result<(), Error> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| {
        let (path, reason) = ("standard output".to_owned(), error.to_string());
        Error::File { path, reason }
    })
}

/// Writes every figure as JSON.
pub(crate) fn write(run: &impl serde::Serialize, path: &Path) -> Result<(), Error> {
    let failed = |reason: String| Error::File { path: path.display().to_string(), reason };
    let text = serde_json::to_string_pretty(run).map_err(|error| failed(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| failed(error.to_string()))
}

fn row(cell: &Cell, has_peers: bool) -> Vec<String> {
    let ours = cell.ours();
    let mut row = vec![
        cell.shape.to_owned(),
        cell.kind.name().to_owned(),
        cell.batch.to_string(),
        microseconds(ours),
        cell.of_peak.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default(),
    ];
    if has_peers {
        for peer in [Engine::OnnxRuntime, Engine::Tract] {
            let peer = cell.time(peer);
            row.push(peer.map(|peer| microseconds(peer.us)).unwrap_or_default());
            row.push(peer.map(|peer| format!("{:.2}", peer.ratio)).unwrap_or_default());
        }
    }
    row
}

/// Integers beside ONNX Runtime as it is by default and told to be exact. How far its answers are off stands there for models of which
/// both have the same weights.
fn exact(run: &Run) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "shape",
        "weights",
        "batch",
        "leat µs",
        "default µs",
        "off by",
        "ratio",
        "exact µs",
        "ratio",
    ]);
    for cell in &run.cells {
        let (Some(default), Some(exact)) =
            (cell.time(Engine::OnnxRuntime), cell.time(Engine::OnnxRuntimeExact))
        else {
            continue;
        };
        let distance = cell.distances.iter().find(|(engine, _)| *engine == Engine::OnnxRuntime);
        table.add_row([
            cell.shape.to_owned(),
            cell.kind.name().to_owned(),
            cell.batch.to_string(),
            microseconds(cell.ours()),
            microseconds(default.us),
            distance.map(|(_, distance)| format!("{:.1} %", distance * 100.0)).unwrap_or_default(),
            format!("{:.2}", default.ratio),
            microseconds(exact.us),
            format!("{:.2}", exact.ratio),
        ]);
    }
    align(&mut table, 2);
    table
}

/// Models beside the same models with all their weights, or on several threads.
fn beside_ourselves(run: &Run, other: Engine, title: &str) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["shape", "weights", "batch", "leat µs", title, "ratio"]);
    for cell in &run.cells {
        if let Some(other) = cell.time(other) {
            table.add_row([
                cell.shape.to_owned(),
                cell.kind.name().to_owned(),
                cell.batch.to_string(),
                microseconds(cell.ours()),
                microseconds(other.us),
                format!("{:.2}", other.ratio),
            ]);
        }
    }
    align(&mut table, 2);
    table
}

fn compilations(run: &Run) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["shape", "weights", "compile µs", "first run µs", "plan"]);
    for made in &run.compilations {
        table.add_row([
            made.shape.to_owned(),
            made.kind.name().to_owned(),
            microseconds(made.compile_us),
            microseconds(made.first_run_us),
            made.plan.clone(),
        ]);
    }
    table
}

pub(crate) fn align(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Three digits that count.
fn microseconds(time: f64) -> String {
    match time {
        time if time < 10.0 => format!("{time:.2}"),
        time if time < 100.0 => format!("{time:.1}"),
        time => format!("{time:.0}"),
    }
}
