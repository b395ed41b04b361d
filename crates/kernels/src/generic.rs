//! Kernels on vectors of sixteen lanes, written once for every instruction set. A lane is an output, so that no sum ever
//! crosses lanes, and every sum runs in the order of the definition.

mod activation;
mod by_rows;
mod dense_real;
mod dense_u8;
mod epilogue;
mod peak;
mod prepare;
mod quantize;
mod softmax;
mod sparse_f32;
mod sparse_u8;
pub(crate) mod tiling;

pub(crate) use dense_real::RunDenseReal;
#[cfg(target_arch = "x86_64")]
pub(crate) use dense_u8::FinishSums;
pub(crate) use dense_u8::{CodeRow, RunDenseU8, finish, sums};
pub(crate) use peak::{PeakF32, PeakU8};
pub(crate) use prepare::{FirstNotFinite, Prepare};
pub(crate) use quantize::Quantize;
pub(crate) use softmax::Softmax;
pub(crate) use sparse_f32::RunSparseF32;
pub(crate) use sparse_u8::RunSparseU8;
