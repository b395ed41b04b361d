//! The definition of every kernel, one element after the other. Other instruction sets give the same bits.

pub(crate) mod activation;
pub(crate) mod coefficients;
pub(crate) mod dense_real;
pub(crate) mod dense_u8;
pub(crate) mod epilogue;
pub(crate) mod prepare;
pub(crate) mod quantize;
pub(crate) mod softmax;
pub(crate) mod sparse_f32;
pub(crate) mod sparse_u8;
