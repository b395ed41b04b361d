//! Tensors as the nested arrays of the short form.

use serde::{Serialize, Serializer, ser::Error as _};

use super::{InferResponse, Tensor};

/// Row-major values as arrays nested to a shape. No shape left means one value.
pub(super) struct Nested<'tensor, T> {
    pub(super) values: &'tensor [T],
    pub(super) shape: &'tensor [usize],
}

impl<T: Serialize> Serialize for Nested<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.shape {
            [] => self.values.first().serialize(serializer),
            [_] => serializer.collect_seq(self.values),
            [_, inner @ ..] => {
                let stride = inner.iter().product::<usize>().max(1);
                serializer
                    .collect_seq(self.values.chunks(stride).map(|values| Nested { values, shape: inner }))
            }
        }
    }
}

/// The `predictions` of a reply: one entry per row, the value of the only output or an object of all.
pub(super) struct Predictions<'reply>(pub(super) &'reply InferResponse);

impl Serialize for Predictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outputs = &self.0.outputs;
        let rows = outputs.first().map_or(0, Tensor::rows);
        if outputs.iter().any(|output| output.rows() != rows) {
            return Err(S::Error::custom("outputs differ in their number of rows"));
        }
        serializer.collect_seq((0..rows).map(|row| Prediction { outputs, row }))
    }
}

struct Prediction<'reply> {
    outputs: &'reply [Tensor],
    row: usize,
}

impl Serialize for Prediction<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = |output| PredictedRow { output, row: self.row };
        match self.outputs {
            [only] => value(only).serialize(serializer),
            several => serializer.collect_map(several.iter().map(|output| (&output.name, value(output)))),
        }
    }
}

struct PredictedRow<'reply> {
    output: &'reply Tensor,
    row: usize,
}

impl Serialize for PredictedRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shape = self.output.shape.get(1..).unwrap_or_default();
        self.output.data.serialize_row(self.row, shape, serializer)
    }
}
