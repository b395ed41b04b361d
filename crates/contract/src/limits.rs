//! The sizes beyond which a message is refused, whoever sends it.
//!
//! The broker's own payload limit (1 MiB unless configured) applies before any of these.

use crate::Error;

/// Bytes of a request for inference or its reply, the hard limit of the broker.
pub const PAYLOAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of any other message.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Nesting of arrays and maps in one message.
pub const NESTING_MAX: usize = 32;
/// Tensors in one request.
pub const TENSORS_MAX: usize = 64;
/// Dimensions of one tensor.
pub const DIMENSIONS_MAX: usize = 8;
/// Rows of one request: the first dimension of its tensors, or the length of `instances`.
pub const ROWS_MAX: usize = 65_536;
/// Numbers in one request.
pub const VALUES_MAX: usize = 16 * 1024 * 1024;
/// Texts (BYTES elements), named values, and values that stand before their datatype, in one request: each takes tens of
/// bytes in memory.
pub const TEXTS_MAX: usize = 1024 * 1024;
/// Named columns in the objects of `instances`.
pub const COLUMNS_MAX: usize = 4096;
/// Entries of one `parameters` map.
pub const PARAMETERS_MAX: usize = 64;
/// Milliseconds a caller may ask a worker to spend on a request (one hour).
pub const DEADLINE_MS_MAX: u64 = 3_600_000;
/// Characters of a model, alias, worker or job name.
pub const NAME_CHARACTERS_MAX: usize = 63;
/// Characters of a request id.
pub const REQUEST_ID_CHARACTERS_MAX: usize = 128;
/// Routes of one deployment.
pub const ROUTES_MAX: usize = 16;
/// Labels of a worker, and those that a deployment asks for.
pub const LABELS_MAX: usize = 32;
/// Models that answer together with the versions of a deployment.
pub const PIPELINE_MEMBERS_MAX: usize = 16;
/// Steps of one compression job.
pub const COMPRESS_STEPS_MAX: usize = 32;
/// Hidden layers of a network in a job.
pub const HIDDEN_LAYERS_MAX: usize = 16;
/// Units of one hidden layer in a job.
pub const HIDDEN_UNITS_MAX: usize = 16_384;
/// Rows of one step of training.
pub const BATCH_ROWS_MAX: u32 = 65_536;
/// Epochs of a training job.
pub const TRAIN_EPOCHS_MAX: u32 = 1_000_000;
/// Epochs of one step of compression.
pub const COMPRESS_EPOCHS_MAX: u32 = 10_000;

/// Every limit with its unit, as published.
pub const ALL: [(&str, u64); 22] = [
    ("bytes of a request for inference or its reply", PAYLOAD_BYTES_MAX as u64),
    ("bytes of any other message", DOCUMENT_BYTES_MAX as u64),
    ("levels of nested arrays and maps in one message", NESTING_MAX as u64),
    ("tensors in one request", TENSORS_MAX as u64),
    ("dimensions of one tensor", DIMENSIONS_MAX as u64),
    ("rows of one request", ROWS_MAX as u64),
    ("numbers in one request", VALUES_MAX as u64),
    (
        "texts (BYTES elements), named values, and values that stand before their datatype, in one request",
        TEXTS_MAX as u64,
    ),
    ("named columns in the objects of `instances`", COLUMNS_MAX as u64),
    ("entries of one `parameters` map", PARAMETERS_MAX as u64),
    ("milliseconds of `deadline_ms`", DEADLINE_MS_MAX),
    ("characters of a model, alias, worker or job name", NAME_CHARACTERS_MAX as u64),
    ("characters of a request id", REQUEST_ID_CHARACTERS_MAX as u64),
    ("routes of one deployment", ROUTES_MAX as u64),
    ("labels of a worker, and those that a deployment asks for", LABELS_MAX as u64),
    ("models that answer together with the versions of a deployment", PIPELINE_MEMBERS_MAX as u64),
    ("steps of one compression job", COMPRESS_STEPS_MAX as u64),
    ("hidden layers of a network in a job", HIDDEN_LAYERS_MAX as u64),
    ("units of one hidden layer in a job", HIDDEN_UNITS_MAX as u64),
    ("rows of one step of training", BATCH_ROWS_MAX as u64),
    ("epochs of a training job", TRAIN_EPOCHS_MAX as u64),
    ("epochs of one step of compression", COMPRESS_EPOCHS_MAX as u64),
];

/// Refuses more of something than there may be.
pub(crate) fn check_limit(what: &'static str, found: u64, limit: u64) -> Result<(), Error> {
    if found <= limit { Ok(()) } else { Err(Error::TooLarge { what, found, limit }) }
}
