/// Why a model cannot be compiled, or a batch cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model contradicts itself.
    #[error("the model cannot be compiled")]
    Model(#[from] leat_model::Error),

    /// The model is sound, but this engine does not run it.
    #[error("the engine does not run {what}")]
    Unsupported {
        /// The part it does not run.
        what: String,
    },

    /// The values of a batch do not fill its rows.
    #[error("input holds {found} values, but {rows} rows of {features} features need another count")]
    InputLength {
        /// How many rows the batch says it has.
        rows: usize,
        /// The length of a raw row.
        features: usize,
        /// How many values there are.
        found: usize,
    },

    /// The place for the answers does not fit them.
    #[error("output holds {found} values, but {rows} rows of {outputs} outputs need another count")]
    OutputLength {
        /// How many rows the batch says it has.
        rows: usize,
        /// The length of an output row.
        outputs: usize,
        /// How many values there are.
        found: usize,
    },

    /// A feature is infinite, or NaN where the model does not impute.
    #[error("feature {feature} of row {row} is not a finite number")]
    NotFinite {
        /// The row in the batch, from 0.
        row: usize,
        /// The feature in the row, from 0.
        feature: usize,
    },

    /// The features are finite, but so large that the prediction is not, or something on the way to it that integers have no code for.
    #[error("the prediction for row {row} is not a finite number: its features are too large for the model")]
    Overflow {
        /// The row in the batch, from 0.
        row: usize,
    },

    /// The operating system refuses threads.
    #[error("no threads to share batches: {reason}")]
    Threads {
        /// What it said.
        reason: String,
    },

    /// A measurement was asked for without rows, with an empty batch, or of a plan without features.
    #[error("nothing to measure: batch {batch}, {values} values")]
    NothingToMeasure {
        /// The batch that was asked for.
        batch: usize,
        /// How many values were given to build it from.
        values: usize,
    },

    /// A batch is larger than is ever measured.
    #[error("a batch of {batch} rows is too large to measure: the limit for this plan is {batch_max}")]
    BatchTooLarge {
        /// The batch that was asked for.
        batch: usize,
        /// The largest one for this plan.
        batch_max: usize,
    },
}

impl Error {
    /// The row that is refused, when it is a row.
    pub(crate) fn row(&self) -> Option<usize> {
        match self {
            Self::NotFinite { row, .. } | Self::Overflow { row } => Some(*row),
            _ => None,
        }
    }

    /// Counts the row from the start of the batch instead of the block that starts at row `start`.
    pub(crate) fn in_block(self, start: usize) -> Self {
        match self {
            Self::NotFinite { row, feature } => Self::NotFinite { row: start + row, feature },
            Self::Overflow { row } => Self::Overflow { row: start + row },
            other => other,
        }
    }
}
