//! Numeric kernels on slices: a scalar definition and one file per instruction set.
