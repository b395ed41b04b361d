use ::csv::{ReaderBuilder, StringRecord};
use leat_model::Task;
use ndarray::Array2;

use super::columns::{Header, Labels};
use super::{CELLS_MAX, Dataset, ROWS_MAX};
use crate::{CsvProblem, Error};

/// How a table is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// The name of the column to predict. All other columns are features.
    pub target: String,
    /// What to predict; when absent it follows from the target column, see [`Dataset::from_csv`].
    pub task: Option<Task>,
}

impl Dataset {
    /// Reads a table: UTF-8, comma-separated, one header line with distinct names, numeric features. White space round a cell is
    /// dropped and an empty feature cell is a missing value.
    ///
    /// Without a task the target is read as **classes** when one of its cells is not a number, or when all are whole numbers with
    /// at most 20 distinct values that occur twice or more on average; otherwise as a **real number**. Classes whose cells are all
    /// numbers are ordered by value and written plainly (`1.0` becomes `1`); others are ordered by their text.
    ///
    /// Fails with the line and column of the first cell that cannot be read, or when the table holds nothing to learn from.
    pub fn from_csv(bytes: &[u8], options: &CsvOptions) -> Result<Self, Error> {
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        let mut record = StringRecord::new();
        if !next(&mut reader, &mut record)? {
            return Err(Error::Data("the table is empty, expected a header line".to_owned()));
        }
        let header = Header::read(&record, &options.target)?;
        let mut values = Vec::new();
        let mut labels = Labels::new(&options.target, options.task);
        while next(&mut reader, &mut record)? {
            let line = record.position().map_or(0, |position| position.line());
            let at = |problem| Error::Csv { line, problem };
            if labels.len() >= ROWS_MAX {
                return Err(at(CsvProblem::TooMany { what: "rows", max: ROWS_MAX }));
            }
            if values.len() + header.features.len() > CELLS_MAX {
                return Err(at(CsvProblem::TooMany { what: "feature cells", max: CELLS_MAX }));
            }
            header.append(&record, &mut values).map_err(at)?;
            labels.push(record.get(header.target).unwrap_or_default().trim(), line)?;
        }
        header.refuse_empty_columns(&values)?;
        let has_missing = values.iter().any(|value| value.is_nan());
        let rows = Array2::from_shape_vec((labels.len(), header.features.len()), values)
            .map_err(|error| Error::Data(error.to_string()))?;
        let target = labels.into_target()?;
        let target_name = options.target.clone();
        Ok(Self { features: header.features, rows, target, target_name, has_missing })
    }
}

fn next(reader: &mut ::csv::Reader<&[u8]>, record: &mut StringRecord) -> Result<bool, Error> {
    reader.read_record(record).map_err(|error| {
        let line = error.position().map_or(0, ::csv::Position::line);
        let problem = match error.kind() {
            ::csv::ErrorKind::Utf8 { .. } => CsvProblem::NotUtf8,
            _ => CsvProblem::Syntax(error.to_string()),
        };
        Error::Csv { line, problem }
    })
}

#[cfg(test)]
mod tests;
