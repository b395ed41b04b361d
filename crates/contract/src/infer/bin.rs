//! The `bin` form of tensors, and tensors cut and joined by rows: what an edge needs that carries them in other wrappings.

use std::ops::Range;

use super::{Datatype, Tensor, TensorData, element::Binary, tensor::describe};
use crate::Error;

impl TensorData {
    /// The elements in their `bin` form: little-endian, row-major, without padding.
    ///
    /// # Errors
    /// [`Error::Invalid`] for BYTES, which has no such form, for a part of an element, and for a BOOL that is neither 0 nor 1.
    pub fn from_bin(datatype: Datatype, bytes: &[u8]) -> Result<Self, Error> {
        Ok(match datatype {
            Datatype::Bool => Self::Bool(elements(bytes)?),
            Datatype::Uint8 => Self::Uint8(elements(bytes)?),
            Datatype::Uint16 => Self::Uint16(elements(bytes)?),
            Datatype::Uint32 => Self::Uint32(elements(bytes)?),
            Datatype::Uint64 => Self::Uint64(elements(bytes)?),
            Datatype::Int8 => Self::Int8(elements(bytes)?),
            Datatype::Int16 => Self::Int16(elements(bytes)?),
            Datatype::Int32 => Self::Int32(elements(bytes)?),
            Datatype::Int64 => Self::Int64(elements(bytes)?),
            Datatype::Fp32 => Self::Fp32(elements(bytes)?),
            Datatype::Fp64 => Self::Fp64(elements(bytes)?),
            Datatype::Bytes => {
                return Err(Error::invalid("data", "BYTES has no binary form, send an array of strings"));
            }
        })
    }

    /// The elements in their `bin` form; none for BYTES.
    pub fn to_bin(&self) -> Option<Vec<u8>> {
        self.to_binary()
    }
}

impl Tensor {
    /// The rows of a range, which must lie within the tensor; what lies beyond is left out.
    pub fn rows_in(&self, rows: Range<usize>) -> Self {
        let stride = self.shape.iter().skip(1).product::<usize>();
        let count = self.data.len();
        let end = rows.end.saturating_mul(stride).min(count);
        let start = rows.start.saturating_mul(stride).min(end);
        let mut shape = self.shape.clone();
        if let Some(first) = shape.first_mut() {
            *first = (end - start).checked_div(stride).unwrap_or(0);
        }
        Self {
            name: self.name.clone(),
            shape,
            data: self.data.slice(start..end),
            parameters: self.parameters.clone(),
        }
    }

    /// Puts the rows of another tensor behind its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the other has another name, type or shape of a row.
    pub fn append_rows(&mut self, other: Self) -> Result<(), Error> {
        let is_alike = self.name == other.name && self.shape.get(1..) == other.shape.get(1..);
        if !is_alike || !self.data.append(other.data) {
            return Err(Error::invalid(describe(&self.name), "parts of one answer are not alike"));
        }
        if let (Some(rows), Some(more)) = (self.shape.first_mut(), other.shape.first()) {
            *rows += more;
        }
        Ok(())
    }
}

/// Elements from their bytes.
pub(super) fn elements<T: Binary>(bytes: &[u8]) -> Result<Vec<T>, Error> {
    if !bytes.len().is_multiple_of(T::BYTES) {
        let reason = format!(
            "{} bytes are no whole number of {} elements of {} bytes",
            bytes.len(),
            T::NAME,
            T::BYTES
        );
        return Err(Error::invalid("data", reason));
    }
    T::from_bytes(bytes)
        .map_err(|found| Error::invalid("data", format!("expected {}, found {found}", T::NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bin_is_read_and_written_without_change() {
        for datatype in Datatype::ALL.into_iter().filter(|datatype| *datatype != Datatype::Bytes) {
            let width = datatype.element_bytes().unwrap();
            let bytes: Vec<u8> = (0..4 * width).map(|place| u8::from(place % width == 0)).collect();
            let data = TensorData::from_bin(datatype, &bytes).unwrap();
            assert_eq!((data.datatype(), data.len(), data.to_bin()), (datatype, 4, Some(bytes)));
        }
        assert!(TensorData::from_bin(Datatype::Fp32, &[0; 3]).is_err());
        assert!(TensorData::from_bin(Datatype::Bytes, &[]).is_err());
    }

    #[test]
    fn a_tensor_is_cut_by_rows_and_joined_again() {
        let values = (0_u8..12).map(f32::from).collect();
        let whole = Tensor::new("input", vec![4, 3], TensorData::Fp32(values)).unwrap();
        let mut joined = whole.rows_in(0..1);
        assert_eq!(joined.shape, [1, 3]);
        joined.append_rows(whole.rows_in(1..3)).unwrap();
        joined.append_rows(whole.rows_in(3..9)).unwrap();
        assert_eq!(joined, whole);
        let other = Tensor::new("input", vec![1, 2], TensorData::Fp32(vec![0.0; 2])).unwrap();
        assert!(joined.append_rows(other).is_err());
        let other = Tensor::new("input", vec![1, 3], TensorData::Fp64(vec![0.0; 3])).unwrap();
        assert!(joined.append_rows(other).is_err());
    }
}
