use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Datatype, Parameters, TensorData};
use crate::{Error, limits};

/// A named array: one input of a request or one output of a reply. The first dimension is the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its name in the signature of the model.
    pub name: String,
    /// The length of each dimension. Their product is the number of elements.
    pub shape: Vec<usize>,
    /// The elements, row-major.
    pub data: TensorData,
    /// Options of this tensor; empty for none.
    pub parameters: Parameters,
}

impl Tensor {
    /// A tensor whose shape fits its data.
    ///
    /// # Errors
    /// See [`Tensor::validate`].
    pub fn new(name: impl Into<String>, shape: Vec<usize>, data: TensorData) -> Result<Self, Error> {
        let tensor = Self { name: name.into(), shape, data, parameters: Parameters::new() };
        tensor.validate()?;
        Ok(tensor)
    }

    /// The type of the elements.
    pub const fn datatype(&self) -> Datatype {
        self.data.datatype()
    }

    /// The length of the first dimension, 0 when there is none.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(0)
    }

    /// Whether the shape is one the contract allows and its product is the number of elements.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for too many dimensions, rows or elements, [`Error::Invalid`] for any other disagreement.
    pub fn validate(&self) -> Result<(), Error> {
        let expected = element_count(&self.name, &self.shape)?;
        let found = self.data.len();
        if expected == found {
            return Ok(());
        }
        let reason = format!("shape {:?} needs {expected} values, data has {found}", self.shape);
        Err(Error::invalid(describe(&self.name), reason))
    }
}

/// The product of a declared shape, which may be anything.
pub(super) fn element_count(name: &str, shape: &[usize]) -> Result<usize, Error> {
    let Some(&rows) = shape.first() else {
        return Err(Error::invalid(
            describe(name),
            "shape [] has no dimensions, the first must be the batch",
        ));
    };
    check_limit("number of dimensions", shape.len(), limits::DIMENSIONS_MAX)?;
    if shape.contains(&0) {
        return Err(Error::invalid(describe(name), format!("shape {shape:?} has no elements")));
    }
    check_limit("number of rows", rows, limits::ROWS_MAX)?;
    let product = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    let count = product.unwrap_or(usize::MAX);
    check_limit("number of values", count, limits::VALUES_MAX)?;
    Ok(count)
}

pub(super) fn check_limit(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found <= limit {
        Ok(())
    } else {
        Err(Error::TooLarge { what, found: found as u64, limit: limit as u64 })
    }
}

/// How a tensor is called in messages.
pub(super) fn describe(name: &str) -> String {
    format!("tensor {:?}", name.chars().take(64).collect::<String>())
}

impl Serialize for Tensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let has_parameters = !self.parameters.is_empty();
        let mut tensor = serializer.serialize_struct("Tensor", 4 + usize::from(has_parameters))?;
        tensor.serialize_field("name", &self.name)?;
        tensor.serialize_field("datatype", &self.datatype())?;
        tensor.serialize_field("shape", &self.shape)?;
        if has_parameters {
            tensor.serialize_field("parameters", &self.parameters)?;
        }
        // Last, so that a reader knows what the numbers are before it meets them.
        tensor.serialize_field("data", &self.data)?;
        tensor.end()
    }
}
