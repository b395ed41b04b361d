//! From either form of a request to the rows a model takes.

use std::collections::HashMap;

use super::{
    InferRequest, Instances, RequestBody, Tensor,
    tensor::{check_limit, describe},
};
use crate::{Error, Scalar, limits};

/// Raw rows for a model with FP32 features.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRows {
    /// How many rows there are.
    pub rows: usize,
    /// The values, `[rows, features]` row-major; NaN where a value is missing.
    pub values: Vec<f32>,
}

impl InferRequest {
    /// The rows for a model that has one input of this name and these features in this order. FP32 tensors are not copied.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming what differs: another input, another width, an unknown or absent column, a text.
    pub fn into_rows(self, input: &str, features: &[String]) -> Result<FeatureRows, Error> {
        let rows = self.rows();
        check_limit("number of rows", rows, limits::ROWS_MAX)?;
        let values = match self.body {
            RequestBody::Tensors { inputs, .. } => tensor_values(inputs, input, features.len())?,
            RequestBody::Instances(Instances::Rows { shape, values }) => {
                check_width(|| "instances".to_owned(), &shape, features.len())?;
                values
            }
            RequestBody::Instances(Instances::Table { columns, cells }) => {
                table_values(&columns, cells, features)?
            }
        };
        Ok(FeatureRows { rows, values })
    }
}

fn tensor_values(inputs: Vec<Tensor>, input: &str, width: usize) -> Result<Vec<f32>, Error> {
    let count = inputs.len();
    let mut inputs = inputs.into_iter();
    let (Some(tensor), None) = (inputs.next(), inputs.next()) else {
        return Err(Error::invalid("inputs", format!("expected one tensor {input:?}, found {count}")));
    };
    if tensor.name != input {
        return Err(Error::invalid(
            describe(&tensor.name),
            format!("the model has no such input, only {input:?}"),
        ));
    }
    check_width(|| describe(&tensor.name), &tensor.shape, width)?;
    let name = tensor.name;
    tensor.data.into_fp32().map_err(|error| match error {
        Error::Invalid { reason, .. } => Error::invalid(describe(&name), reason),
        other => other,
    })
}

fn check_width(what: impl FnOnce() -> String, shape: &[usize], width: usize) -> Result<(), Error> {
    let found = shape.iter().skip(1).try_fold(1_usize, |product, &length| product.checked_mul(length));
    if found == Some(width) {
        return Ok(());
    }
    let reason = format!("shape {shape:?} does not fit [-1, {width}]: the model has {width} features");
    Err(Error::invalid(what(), reason))
}

fn table_values(
    columns: &[String],
    cells: Vec<Option<Scalar>>,
    features: &[String],
) -> Result<Vec<f32>, Error> {
    let places: HashMap<&str, usize> =
        features.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let targets = columns.iter().map(|column| {
        let unknown = || Error::invalid("instances", format!("the model has no feature {column:?}"));
        places.get(column.as_str()).copied().ok_or_else(unknown)
    });
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    if let Some(absent) = features.iter().find(|feature| !columns.contains(feature)) {
        return Err(Error::invalid(
            "instances",
            format!("the feature {absent:?} is absent; null stands for a missing value"),
        ));
    }
    let width = targets.len();
    let mut values = vec![f32::NAN; cells.len()];
    for (row, cells) in values.chunks_mut(width.max(1)).zip(cells.chunks(width.max(1))) {
        for ((cell, target), column) in cells.iter().zip(&targets).zip(columns) {
            if let (Some(cell), Some(value)) = (cell, row.get_mut(*target)) {
                *value = cell_value(cell, column)?;
            }
        }
    }
    Ok(values)
}

fn cell_value(cell: &Scalar, column: &str) -> Result<f32, Error> {
    let wrong = |found: String| {
        Error::invalid("instances", format!("column {column:?}: expected a number, found {found}"))
    };
    let number = cell.as_number().ok_or_else(|| wrong(format!("{:?}", cell.to_string())))?;
    let value = number as f32;
    if value.is_finite() { Ok(value) } else { Err(wrong(format!("{number:e}"))) }
}
