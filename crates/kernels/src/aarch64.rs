//! The instruction sets of 64-bit ARM.

pub(crate) mod neon;
