//! Rows as people give them: a list in JSON, or a CSV file.

use std::path::Path;

use leat_contract::ModelMetadata;
use serde_json::{Map, Number, Value};

use crate::Error;

/// Rows from the command line.
///
/// # Errors
/// When the text is no JSON list.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>, Error> {
    let rows: Vec<Value> = serde_json::from_str(text)
        .map_err(|error| Error::Usage(format!("--input is not a JSON list of rows: {error}")))?;
    Ok(rows)
}

/// The columns of the file that the model knows, as named values; an empty cell is a missing value.
///
/// # Errors
/// When the file cannot be read, lacks a column that the model needs, or holds what is no number.
pub(crate) fn read_csv(path: &Path, metadata: &ModelMetadata) -> Result<Vec<Value>, Error> {
    let unreadable = |error: csv::Error| Error::Usage(format!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
    let header: Vec<String> = reader.headers().map_err(unreadable)?.iter().map(ToOwned::to_owned).collect();
    let wanted: Vec<(usize, &String)> =
        header.iter().enumerate().filter(|(_, name)| metadata.features.contains(name)).collect();
    let missing: Vec<&str> =
        metadata.features.iter().filter(|name| !header.contains(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(Error::Usage(format!(
            "{} lacks columns that the model needs: {}",
            path.display(),
            missing.join(", ")
        )));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let mut row = Map::new();
        for (column, name) in &wanted {
            let text = record.get(*column).unwrap_or_default().trim();
            row.insert((*name).clone(), cell(text, rows.len() + 2, name)?);
        }
        rows.push(Value::Object(row));
    }
    Ok(rows)
}

fn cell(text: &str, line: usize, column: &str) -> Result<Value, Error> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let number = text.parse::<f64>().ok().and_then(Number::from_f64);
    number
        .map(Value::Number)
        .ok_or_else(|| Error::Usage(format!("line {line}, column {column}: {text:?} is not a finite number")))
}
