use std::collections::{BTreeMap, BTreeSet, HashSet};

use ::csv::StringRecord;
use leat_model::Task;
use ndarray::Array2;

use super::{CLASSES_MAX, FEATURES_MAX, NAME_BYTES_MAX, Target};
use crate::{CsvProblem, Error};

/// The most distinct whole numbers that are still taken for classes when no task was named.
const INFERRED_CLASSES_MAX: usize = 20;

/// How much of a cell or header is repeated in a message.
const EXCERPT_CHARACTERS: usize = 40;

/// The columns of a table.
pub(super) struct Header {
    /// The names of the features, in order.
    pub(super) features: Vec<String>,
    /// The position of the target among all columns.
    pub(super) target: usize,
}

impl Header {
    /// Reads the header line and looks up the target.
    pub(super) fn read(record: &StringRecord, target: &str) -> Result<Self, Error> {
        let at_header = |problem| Err(Error::Csv { line: 1, problem });
        let names: Vec<&str> = record.iter().map(str::trim).collect();
        if names.len() > FEATURES_MAX + 1 {
            return at_header(CsvProblem::TooMany { what: "columns", max: FEATURES_MAX + 1 });
        }
        let mut seen = HashSet::new();
        for (position, name) in (1..).zip(&names) {
            if name.is_empty() {
                return at_header(CsvProblem::UnnamedColumn { position });
            }
            if name.len() > NAME_BYTES_MAX {
                return at_header(CsvProblem::TooMany {
                    what: "bytes in a column name",
                    max: NAME_BYTES_MAX,
                });
            }
            if !seen.insert(*name) {
                return at_header(CsvProblem::DuplicateColumn { column: excerpt(name) });
            }
        }
        let Some(position) = names.iter().position(|name| *name == target) else {
            let columns = excerpt_of_list(&names);
            return at_header(CsvProblem::UnknownTarget { target: excerpt(target), columns });
        };
        let features: Vec<String> =
            names.iter().filter(|name| **name != target).map(|name| (*name).to_owned()).collect();
        if features.is_empty() {
            return Err(Error::Data("there is no column beside the target".to_owned()));
        }
        Ok(Self { features, target: position })
    }

    /// Appends the features of one row.
    pub(super) fn append(&self, record: &StringRecord, values: &mut Vec<f32>) -> Result<(), CsvProblem> {
        let expected = self.features.len() + 1;
        if record.len() != expected {
            return Err(CsvProblem::Ragged { expected, found: record.len() });
        }
        let cells = record.iter().enumerate().filter(|(position, _)| *position != self.target);
        for ((_, cell), name) in cells.zip(&self.features) {
            let cell = cell.trim();
            let value = if cell.is_empty() { f32::NAN } else { number(cell, name)? as f32 };
            values.push(value);
        }
        Ok(())
    }

    /// A column without a single value has no mean and nothing to learn from.
    pub(super) fn refuse_empty_columns(&self, values: &[f32]) -> Result<(), Error> {
        let mut empty = vec![true; self.features.len()];
        for row in values.chunks(self.features.len()) {
            for (empty, value) in empty.iter_mut().zip(row) {
                *empty &= value.is_nan();
            }
        }
        match self.features.iter().zip(empty).find(|(_, empty)| *empty) {
            Some((name, _)) if !values.is_empty() => {
                Err(Error::Data(format!("column {:?} has no value at all", excerpt(name))))
            }
            _ => Ok(()),
        }
    }
}

/// The cells of the target column while the table is read.
pub(super) struct Labels {
    column: String,
    task: Option<Task>,
    cells: Vec<String>,
    /// `None` once a cell was not a number.
    numbers: Option<Vec<f64>>,
    distinct: BTreeSet<String>,
}

impl Labels {
    pub(super) fn new(column: &str, task: Option<Task>) -> Self {
        Self {
            column: column.to_owned(),
            task,
            cells: Vec::new(),
            numbers: Some(Vec::new()),
            distinct: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    /// Takes the next cell, already trimmed.
    pub(super) fn push(&mut self, cell: &str, line: u64) -> Result<(), Error> {
        let at = |problem| Error::Csv { line, problem };
        if cell.is_empty() {
            return Err(at(CsvProblem::TargetMissing { column: excerpt(&self.column) }));
        }
        match (number(cell, &self.column), &mut self.numbers) {
            (Ok(value), Some(numbers)) => numbers.push(value),
            (Err(problem), _) if self.task == Some(Task::Regression) => return Err(at(problem)),
            (Err(_), _) if cell.len() > NAME_BYTES_MAX => {
                return Err(at(CsvProblem::TooMany { what: "bytes in a class", max: NAME_BYTES_MAX }));
            }
            (Err(_), numbers) => *numbers = None,
            (Ok(_), None) => {}
        }
        // One more than the limit is enough to know that there are too many.
        if self.distinct.len() <= CLASSES_MAX && !self.distinct.contains(cell) {
            self.distinct.insert(cell.to_owned());
        }
        if self.distinct.len() > CLASSES_MAX && self.numbers.is_none() {
            return Err(at(CsvProblem::TooMany { what: "classes", max: CLASSES_MAX }));
        }
        self.cells.push(cell.to_owned());
        Ok(())
    }

    /// Decides the task and gives the target.
    pub(super) fn into_target(self) -> Result<Target, Error> {
        if self.cells.is_empty() {
            return Err(Error::Data("there are no rows below the header".to_owned()));
        }
        match (self.numbers, self.task) {
            (Some(numbers), Some(Task::Regression)) => real(&numbers, &self.column),
            (Some(numbers), None) if !look_like_classes(&numbers) => real(&numbers, &self.column),
            (Some(numbers), _) => numbered_classes(&numbers),
            (None, _) => classes(&self.cells, self.distinct.into_iter().collect()),
        }
    }
}

fn look_like_classes(numbers: &[f64]) -> bool {
    let mut distinct = BTreeSet::new();
    for number in numbers {
        if number.fract() != 0.0 || number.abs() > 1e15 {
            return false;
        }
        distinct.insert(*number as i64);
        if distinct.len() > INFERRED_CLASSES_MAX {
            return false;
        }
    }
    distinct.len() * 2 <= numbers.len()
}

fn real(numbers: &[f64], column: &str) -> Result<Target, Error> {
    let values: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
    if values.iter().any(|value| !value.is_finite()) {
        return Err(Error::Data(format!("a value of column {:?} does not fit in 32 bits", excerpt(column))));
    }
    Array2::from_shape_vec((values.len(), 1), values)
        .map(Target::Values)
        .map_err(|error| Error::Data(error.to_string()))
}

fn numbered_classes(numbers: &[f64]) -> Result<Target, Error> {
    // Adding zero turns -0 into 0, so that both are one class.
    let plain: Vec<f64> = numbers.iter().map(|number| number + 0.0).collect();
    let mut distinct = plain.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    let cells: Vec<String> = plain.iter().map(f64::to_string).collect();
    classes(&cells, distinct.iter().map(f64::to_string).collect())
}

fn classes(cells: &[String], labels: Vec<String>) -> Result<Target, Error> {
    if let [only] = labels.as_slice() {
        return Err(Error::Data(format!(
            "every row has the class {:?}, expected two or more",
            excerpt(only)
        )));
    }
    if labels.len() > CLASSES_MAX {
        return Err(Error::Data(format!("more than {CLASSES_MAX} classes")));
    }
    let positions: BTreeMap<&str, usize> = labels.iter().map(String::as_str).zip(0..).collect();
    let indices = cells.iter().filter_map(|cell| positions.get(cell.as_str()).copied()).collect();
    Ok(Target::Classes { labels, indices })
}

fn number(cell: &str, column: &str) -> Result<f64, CsvProblem> {
    match cell.parse::<f64>() {
        Ok(value) if (value as f32).is_finite() => Ok(value),
        _ => Err(CsvProblem::Number { column: excerpt(column), value: excerpt(cell) }),
    }
}

fn excerpt(text: &str) -> String {
    if text.chars().count() <= EXCERPT_CHARACTERS {
        return text.to_owned();
    }
    text.chars().take(EXCERPT_CHARACTERS).chain(['…']).collect()
}

fn excerpt_of_list(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| excerpt(name)).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
