/// Why a benchmark cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File { path: String, reason: String },

    /// The engine refuses a model or a batch.
    #[error(transparent)]
    Engine(#[from] leat_engine::Error),

    /// A model cannot be written.
    #[error(transparent)]
    Model(#[from] leat_model::Error),

    /// The broker cannot be found or started.
    #[error(transparent)]
    Broker(#[from] leat_broker::Error),

    /// The broker does not do what was asked.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),

    /// A request or a document is not what the contract says.
    #[error(transparent)]
    Contract(#[from] leat_contract::Error),

    /// Load cannot be made.
    #[error(transparent)]
    Load(#[from] leat_load::Error),

    /// A process that takes part ended, or does not answer.
    #[error("{name} {what}; its log ends with:\n{tail}")]
    Process { name: String, what: String, tail: String },

    /// Two servers of the same model give other answers.
    #[error("{contender} disagrees with leat about row {row}: {reason}")]
    Answer { contender: String, row: usize, reason: String },

    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,

    /// A model cannot be compressed.
    #[error(transparent)]
    Compression(#[from] leat_compression::Error),

    /// A peer fails.
    #[cfg(feature = "peers")]
    #[error("{peer}: {reason}")]
    Peer { peer: &'static str, reason: String },

    /// Two engines that run the same model disagree.
    #[error("{contender} is {distance} away on average for {shape}, where outputs are {size}")]
    Disagreement { contender: &'static str, shape: String, distance: f32, size: f32 },

    /// The command line asks for something that there is not.
    #[error("{0}")]
    Usage(String),
}
