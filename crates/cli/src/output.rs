//! What people and programs read: results on standard output, everything else on standard error.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::Error;

/// Prints a line of a result.
pub(crate) fn line(text: &str) {
    let written = writeln!(std::io::stdout(), "{text}");
    // Whoever reads has gone (`leat events | head`): nobody waits for the rest, and that is no failure of ours.
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// Says something on the way.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a document for programs, over several lines.
pub(crate) fn json(document: &impl Serialize) -> Result<(), Error> {
    line(&serde_json::to_string_pretty(document).map_err(unprintable)?);
    Ok(())
}

/// Prints a document for programs on one line of its own, as a stream of them wants it.
pub(crate) fn json_line(document: &impl Serialize) -> Result<(), Error> {
    line(&serde_json::to_string(document).map_err(unprintable)?);
    Ok(())
}

/// Says what went wrong.
pub(crate) fn fail(text: &str) -> ExitCode {
    let red = if std::io::stderr().is_terminal() { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    say(&format!("{}error{}: {text}", red.0, red.1));
    ExitCode::FAILURE
}

/// A table; cells that begin with a digit stand to the right.
pub(crate) fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    for row in rows {
        table.add_row(row.into_iter().map(|text| {
            let is_number = text.starts_with(|first: char| first.is_ascii_digit());
            let alignment = if is_number { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(alignment)
        }));
    }
    table.to_string()
}

/// A size for people.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// A moment for people, in UTC.
pub(crate) fn moment(unix_ms: u64) -> String {
    let millisecond = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    millisecond.map_or_else(|| unix_ms.to_string(), |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

fn unprintable(error: serde_json::Error) -> Error {
    Error::Usage(format!("the result cannot be printed: {error}"))
}
