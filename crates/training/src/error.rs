use leat_model::Task;

/// Why data, a recipe or a checkpoint was refused, or why training could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table cannot be read as a data set. Lines count from 1, the header being line 1.
    #[error("line {line}: {problem}")]
    Csv {
        /// The line of the file on which the row starts.
        line: u64,
        /// What is wrong with it.
        problem: CsvProblem,
    },
    /// The table or the data set as a whole is not fit for training.
    #[error("data set refused: {0}")]
    Data(String),
    /// A setting of the recipe is out of its range or does not fit the data.
    #[error("recipe refused: {setting} {problem}")]
    Recipe {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong, with the value.
        problem: String,
    },
    /// The data set does not fit the model.
    #[error("data set does not fit the model: {0}")]
    Mismatch(String),
    /// The task of the data and the one asked for differ.
    #[error("expected a {expected:?} task, found {found:?}")]
    Task {
        /// What was needed.
        expected: Task,
        /// What was there.
        found: Task,
    },
    /// The loss or a weight left the finite numbers; a lower learning rate usually helps.
    #[error("training diverged in epoch {epoch}: {what} is not finite")]
    Diverged {
        /// The epoch, counted from 1.
        epoch: u32,
        /// What stopped being finite.
        what: &'static str,
    },
    /// A prediction is NaN or infinite, so that no metric can be computed.
    #[error("prediction for row {row} is not finite")]
    Prediction {
        /// The row, counted from 0.
        row: usize,
    },
    /// A checkpoint belongs to other data or another recipe, or is damaged.
    #[error("checkpoint refused: {0}")]
    Checkpoint(String),
    /// There is no further epoch to run.
    #[error("training has finished after epoch {epoch}")]
    Finished {
        /// The last epoch.
        epoch: u32,
    },
    /// The caller asked to stop between two epochs.
    #[error("training was stopped after epoch {epoch}")]
    Stopped {
        /// The last epoch that ran.
        epoch: u32,
    },
    /// The model is not a network that can be trained here.
    #[error("only native networks can be trained further, this model is an ONNX graph")]
    NotANetwork,
    /// The model or checkpoint could not be encoded or decoded.
    #[error(transparent)]
    Model(#[from] leat_model::Error),
    /// The engine refused the model or a row.
    #[error(transparent)]
    Engine(#[from] leat_engine::Error),
}

/// What is wrong with one row of a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsvProblem {
    /// A cell is not a finite number.
    #[error("column {column:?}: {value:?} is not a finite number")]
    Number {
        /// The name of the column.
        column: String,
        /// The text of the cell, cut to 40 characters.
        value: String,
    },
    /// The row has more or fewer cells than the header.
    #[error("expected {expected} cells, found {found}")]
    Ragged {
        /// Cells in the header.
        expected: usize,
        /// Cells in this row.
        found: usize,
    },
    /// The target cell is empty.
    #[error("column {column:?}: the target is empty")]
    TargetMissing {
        /// The name of the target column.
        column: String,
    },
    /// Two columns have the same name.
    #[error("column {column:?} appears twice in the header")]
    DuplicateColumn {
        /// The name.
        column: String,
    },
    /// A column has no name.
    #[error("column {position} of the header has no name")]
    UnnamedColumn {
        /// The position, counted from 1.
        position: usize,
    },
    /// The target is not among the columns.
    #[error("target {target:?} is not a column, the columns are {columns}")]
    UnknownTarget {
        /// The name that was asked for.
        target: String,
        /// The first names of the header.
        columns: String,
    },
    /// The text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// The table is larger than a limit.
    #[error("more than {max} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The CSV syntax is broken in another way.
    #[error("{0}")]
    Syntax(String),
}
