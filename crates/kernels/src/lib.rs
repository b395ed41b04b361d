//! Numeric kernels on slices: what a compiled model spends its time in.
//!
//! Each kernel is defined in `scalar` and written once more, under the same file name in `generic`, for vectors of sixteen
//! lanes; an instruction set implements those vectors. All give the same bits: sums run in one fixed order, products are
//! fused, and `exp`, `tanh` and the normal distribution function are our own. So an answer depends neither on the processor
//! nor on the batch it rode in.
//!
//! Tiles (AMX) are used for integers alone, whose sums are exact. Products of `bf16` in hardware (AVX512-BF16, AMX) are not used: they
//! round activations and flush subnormals, each instruction in its own way, and would give other answers than other processors. What else
//! is not used stands in `crates/README.md`.
//!
//! This crate never allocates in a kernel, never knows what a model is and never looks at a clock. It is the only crate
//! with `unsafe` code; every block of it rests on a token that proves the instruction set, or on lengths checked before.
//!
//! Reading order: [`Kernels`], [`DenseReal`], [`Weight`], [`DenseU8`], [`SparseF32`], [`SparseU8`], [`Aligned`], [`Output`], [`Activation`],
//! [`Quantization`], [`Preparation`], then `scalar`, `simd`, `generic`, then `x86_64` and `aarch64`.
#![allow(
    unsafe_code,
    reason = "vector loads and stores, and calls into code compiled for a detected instruction set"
)]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod activation;
mod aligned;
#[cfg(target_arch = "x86_64")]
mod couples;
mod dense_real;
mod dense_u8;
mod dispatch;
mod generic;
mod integer_terms;
mod panel;
mod preparation;
mod quantization;
mod rows;
mod scalar;
mod simd;
mod sparse_f32;
mod sparse_u8;
mod weight;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub use activation::Activation;
pub use aligned::Aligned;
pub use dense_real::{DenseBf16, DenseF32, DenseI8, DenseReal};
pub use dense_u8::{DenseU8, DenseU8Parts};
pub use dispatch::Kernels;
pub use panel::{PANEL, Panels};
pub use preparation::Preparation;
pub use quantization::Quantization;
pub use rows::{Output, Rows};
pub use sparse_f32::SparseF32;
pub use sparse_u8::SparseU8;
pub use weight::{Bf16, Weight};
