//! The Open Inference Protocol V2 over HTTP, with the extensions of Triton that the gateway has.

pub(crate) mod binary;
mod bounded;
pub(crate) mod describe;
pub(crate) mod header;
pub(crate) mod infer;
pub(crate) mod reply;

/// The extensions, as the server's metadata lists them.
pub(crate) const EXTENSIONS: [&str; 6] = [
    "binary_tensor_data",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
];
