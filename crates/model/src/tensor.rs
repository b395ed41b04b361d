/// A weight tensor in the encoding it is stored in. Row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The length of each dimension; for a weight matrix `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// The values.
    pub encoding: Encoding,
}

/// How the values of a tensor are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// IEEE 754 binary32.
    F32(Vec<f32>),
    /// IEEE 754 binary16.
    F16(Vec<half::f16>),
    /// The upper half of binary32.
    Bf16(Vec<half::bf16>),
    /// Symmetric `i8`: `w = code · scale`. One scale for the whole tensor, or one per row (output channel).
    Int8 {
        /// One code per value.
        codes: Vec<i8>,
        /// Length 1 (per tensor) or `shape[0]` (per channel); finite and above zero.
        scales: Vec<f32>,
    },
    /// Symmetric 4-bit codes in `-8..=7`, two to a byte, low nibble first: `w = code · scale`.
    Int4 {
        /// `ceil(values / 2)` bytes.
        packed: Vec<u8>,
        /// Length 1 (per tensor) or `shape[0]` (per channel).
        scales: Vec<f32>,
    },
    /// A bitmap of the nonzero positions and their values in order.
    Sparse {
        /// One bit per value.
        mask: Mask,
        /// The values whose bit is set.
        values: Vec<f32>,
    },
    /// `w = centroids[index]`; an index takes the fewest whole bits that hold the count of centroids, low bits first.
    Codebook {
        /// 1 to 256 distinct values.
        centroids: Vec<f32>,
        /// Bit-packed indices.
        packed: Vec<u8>,
    },
}

/// One bit per value, bit `i` in byte `i / 8` at position `i % 8`; unused bits of the last byte are zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// How many values it speaks about.
    pub len: usize,
    /// `ceil(len / 8)` bytes.
    pub bits: Vec<u8>,
}
