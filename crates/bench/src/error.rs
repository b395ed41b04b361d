/// Why a benchmark cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File { path: String, reason: String },

    /// The engine refuses a model or a batch.
    #[error(transparent)]
    Engine(#[from] leat_engine::Error),

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
