use leat_model::Task;
use ndarray::{Array2, Axis};

use crate::Error;

mod columns;
mod csv;
mod split;

pub use csv::CsvOptions;
pub use split::Split;
pub(crate) use split::{Parts, divide};

/// The most rows of a data set.
pub const ROWS_MAX: usize = 10_000_000;
/// The most feature columns of a data set.
pub const FEATURES_MAX: usize = 16_384;
/// The most feature cells of a data set (512 MiB of `f32`).
pub const CELLS_MAX: usize = 1 << 27;
/// The most bytes of a column name or a class, which are names in the model.
const NAME_BYTES_MAX: usize = 1_024;
/// The most classes of a target.
pub const CLASSES_MAX: usize = 4_096;

/// A table of numeric features and what is to be predicted from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The names of the feature columns, in order.
    pub features: Vec<String>,
    /// The features, `[rows, features]`; NaN stands for a missing value.
    pub rows: Array2<f32>,
    /// The truth, one per row.
    pub target: Target,
    /// The name of the target column.
    pub target_name: String,
    /// Whether a feature is missing anywhere in the whole table, also when it is not in these rows of it. A model of such a table
    /// takes missing values.
    pub has_missing: bool,
}

/// What is to be predicted.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One class per row.
    Classes {
        /// The names of all classes, in the order of the model's probabilities.
        labels: Vec<String>,
        /// For each row the position of its class in `labels`.
        indices: Vec<usize>,
    },
    /// Real numbers, `[rows, targets]`.
    Values(Array2<f32>),
}

impl Dataset {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.nrows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a model for this target does.
    pub fn task(&self) -> Task {
        match self.target {
            Target::Classes { .. } => Task::Classification,
            Target::Values(_) => Task::Regression,
        }
    }

    /// How many numbers a model for this target gives per row: the classes or the targets.
    pub fn outputs(&self) -> usize {
        match &self.target {
            Target::Classes { labels, .. } => labels.len(),
            Target::Values(values) => values.ncols(),
        }
    }

    /// Class labels, or the names of the regression targets (`<target_name>`, numbered from 0 when there are several).
    pub fn labels(&self) -> Vec<String> {
        match &self.target {
            Target::Classes { labels, .. } => labels.clone(),
            Target::Values(values) if values.ncols() == 1 => vec![self.target_name.clone()],
            Target::Values(values) => {
                (0..values.ncols()).map(|i| format!("{}_{i}", self.target_name)).collect()
            }
        }
    }

    /// Checks that lengths agree, that there is something to learn and that every present number is finite.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |problem: String| Err(Error::Data(problem));
        if self.features.is_empty() || self.features.len() != self.rows.ncols() {
            return refuse(format!(
                "{} feature names for {} columns",
                self.features.len(),
                self.rows.ncols()
            ));
        }
        if self.is_empty() {
            return refuse("there are no rows".to_owned());
        }
        if self.rows.iter().any(|value| value.is_infinite()) {
            return refuse("a feature is infinite".to_owned());
        }
        match &self.target {
            Target::Classes { labels, indices } => {
                if indices.len() != self.len() {
                    return refuse(format!("{} classes for {} rows", indices.len(), self.len()));
                }
                if !(2..=CLASSES_MAX).contains(&labels.len()) {
                    return refuse(format!("{} classes, expected 2 to {CLASSES_MAX}", labels.len()));
                }
                if indices.iter().any(|&index| index >= labels.len()) {
                    return refuse("a class index is out of range".to_owned());
                }
            }
            Target::Values(values) => {
                if values.nrows() != self.len() || values.ncols() == 0 {
                    return refuse(format!("targets of shape {:?} for {} rows", values.dim(), self.len()));
                }
                if values.iter().any(|value| !value.is_finite()) {
                    return refuse("a target is not finite".to_owned());
                }
            }
        }
        Ok(())
    }

    /// The rows at these positions, in this order. A position beyond the end is an error.
    pub fn select(&self, positions: &[usize]) -> Result<Self, Error> {
        if let Some(position) = positions.iter().find(|&&position| position >= self.len()) {
            return Err(Error::Data(format!("row {position} does not exist, there are {}", self.len())));
        }
        let target = match &self.target {
            Target::Classes { labels, indices } => Target::Classes {
                labels: labels.clone(),
                indices: positions.iter().filter_map(|&position| indices.get(position).copied()).collect(),
            },
            Target::Values(values) => Target::Values(values.select(Axis(0), positions)),
        };
        Ok(Self {
            features: self.features.clone(),
            rows: self.rows.select(Axis(0), positions),
            target,
            target_name: self.target_name.clone(),
            has_missing: self.has_missing,
        })
    }
}
