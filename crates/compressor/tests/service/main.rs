//! The compressor with a real broker, on a model that a real trainer made.

mod running;
mod versions;
