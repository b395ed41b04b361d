//! Kernels for x86-64, one module per instruction set.

pub(crate) mod avx2;
