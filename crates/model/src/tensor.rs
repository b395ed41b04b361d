mod mask;
mod packing;
mod validation;
mod values;

pub use mask::Mask;

use std::borrow::Cow;

use crate::Error;

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
        /// `ceil(values / 2)` bytes; the unused nibble of the last byte is zero.
        packed: Vec<u8>,
        /// Length 1 (per tensor) or `shape[0]` (per channel).
        scales: Vec<f32>,
    },
    /// A bitmap of the nonzero positions and their values in order.
    Sparse {
        /// One bit per value.
        mask: Mask,
        /// The values whose bit is set; none is zero, so that there is one way to store them.
        values: Vec<f32>,
    },
    /// `w = centroids[index]`; an index takes the fewest whole bits (at least one) that hold the count of centroids,
    /// low bits first; unused bits of the last byte are zero.
    Codebook {
        /// 1 to 256 distinct values.
        centroids: Vec<f32>,
        /// Bit-packed indices.
        packed: Vec<u8>,
    },
}

impl Tensor {
    /// A tensor of plain `values`, `shape` product of them.
    pub fn f32(shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { shape, encoding: Encoding::F32(values) }
    }

    /// A tensor of 8-bit `codes`; `scales` has length 1 or `shape[0]`.
    pub fn int8(shape: Vec<usize>, codes: Vec<i8>, scales: Vec<f32>) -> Self {
        Self { shape, encoding: Encoding::Int8 { codes, scales } }
    }

    /// A tensor of 4-bit `codes`, which it packs; `scales` has length 1 or `shape[0]`.
    ///
    /// # Errors
    /// When a code is outside `-8..=7`.
    pub fn int4(shape: Vec<usize>, codes: &[i8], scales: Vec<f32>) -> Result<Self, Error> {
        let packed = packing::pack_nibbles(codes)?;
        Ok(Self { shape, encoding: Encoding::Int4 { packed, scales } })
    }

    /// A tensor that stores only those of `values` that are not zero. The sign of a zero is lost.
    pub fn sparse_from(shape: Vec<usize>, values: &[f32]) -> Self {
        let mask = Mask::from_values(values);
        let values = values.iter().copied().filter(|value| *value != 0.0).collect();
        Self { shape, encoding: Encoding::Sparse { mask, values } }
    }

    /// A tensor whose value `i` is `centroids[indices[i]]`; it packs the indices.
    ///
    /// # Errors
    /// When an index has no centroid.
    pub fn codebook(shape: Vec<usize>, centroids: Vec<f32>, indices: &[u8]) -> Result<Self, Error> {
        let packed = packing::pack_indices(indices, centroids.len())?;
        Ok(Self { shape, encoding: Encoding::Codebook { centroids, packed } })
    }

    /// How many values the shape holds.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |product, length| product.saturating_mul(*length))
    }

    /// Whether the shape holds no value at all. Such a tensor is not valid.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every value as f32, row-major. Of a valid tensor, these are [`Tensor::len`] values.
    pub fn to_f32(&self) -> Vec<f32> {
        self.as_f32().into_owned()
    }

    /// As [`Tensor::to_f32`], without a copy of what is stored so.
    pub fn as_f32(&self) -> Cow<'_, [f32]> {
        if let Encoding::F32(values) = &self.encoding {
            return Cow::Borrowed(values);
        }
        let mut values = Vec::with_capacity(self.stored());
        self.for_each_piece(|piece| values.extend_from_slice(piece));
        Cow::Owned(values)
    }

    /// How many values are not zero.
    pub fn nonzero(&self) -> usize {
        let mut count = 0;
        self.for_each_piece(|piece| count += piece.iter().filter(|value| **value != 0.0).count());
        count
    }

    /// The bytes that the values take in their encoding, with scales, mask or centroids and without shape and names.
    pub fn byte_len(&self) -> usize {
        match &self.encoding {
            Encoding::F32(values) => size_of_val(&**values),
            Encoding::F16(values) => size_of_val(&**values),
            Encoding::Bf16(values) => size_of_val(&**values),
            Encoding::Int8 { codes, scales } => codes.len() + size_of_val(&**scales),
            Encoding::Int4 { packed, scales } => packed.len() + size_of_val(&**scales),
            Encoding::Sparse { mask, values } => mask.bits.len() + size_of_val(&**values),
            Encoding::Codebook { centroids, packed } => packed.len() + size_of_val(&**centroids),
        }
    }
}

impl Encoding {
    /// The name of the encoding: `f32`, `f16`, `bf16`, `int8`, `int4`, `sparse` or `codebook`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::F16(_) => "f16",
            Self::Bf16(_) => "bf16",
            Self::Int8 { .. } => "int8",
            Self::Int4 { .. } => "int4",
            Self::Sparse { .. } => "sparse",
            Self::Codebook { .. } => "codebook",
        }
    }
}

#[cfg(test)]
mod tests;
