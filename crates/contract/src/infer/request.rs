use std::ops::Range;

use schemars::JsonSchema;
use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{Envelope, Parameters, ReplyForm, Tensor, decoding, short_reply::Nested, tensor::element_count};
use crate::{Encoding, Error, RequestId, Scalar, codec, limits};

/// A request for inference.
#[derive(Clone, Debug, PartialEq)]
pub struct InferRequest {
    /// The name the producer gives it; the reply repeats it, and a label can name it later. Requests with an id may be
    /// recorded.
    pub id: Option<RequestId>,
    /// How long the caller waits, in milliseconds counted by the worker from receipt. After it there is no prediction.
    pub deadline_ms: Option<u64>,
    /// Options; empty for none. Leat reads `priority` (1 is the most urgent, 2 or 0 the default, 3 and more the least),
    /// `timeout` (microseconds in the queue at most, 0 for no limit) and `sticky_key` (the same key is answered by the same
    /// version). Any others are passed over.
    pub parameters: Parameters,
    /// What to predict from.
    pub body: RequestBody,
}

/// The two forms of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum RequestBody {
    /// The Open Inference Protocol V2 form.
    Tensors {
        /// What goes in.
        inputs: Vec<Tensor>,
        /// Which outputs the reply shall have, in this order; none for all.
        outputs: Option<Vec<RequestedOutput>>,
    },
    /// The short form.
    Instances(Instances),
}

/// An output that the reply shall have.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedOutput {
    /// Its name in the signature of the model.
    pub name: String,
    /// Options of this output; empty for none. Leat reads none of them.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
}

/// The rows of the short form.
#[derive(Clone, Debug, PartialEq)]
pub enum Instances {
    /// `[[…], […]]`: every row has the same shape.
    Rows {
        /// The number of rows, then the shape of one row.
        shape: Vec<usize>,
        /// The values, row-major; NaN where the request says null.
        values: Vec<f32>,
    },
    /// `[{"age": 41, "plan": "pro"}, …]`: every row names the same columns.
    Table {
        /// The names in the order of the first row.
        columns: Vec<String>,
        /// The values, row-major; none where the request says null.
        cells: Vec<Option<Scalar>>,
    },
}

impl InferRequest {
    /// Whether `deadline_ms` may be so much.
    ///
    /// # Errors
    /// [`Error::Invalid`] over [`limits::DEADLINE_MS_MAX`], and for 0.
    pub fn check_deadline(deadline_ms: u64) -> Result<(), Error> {
        if (1..=limits::DEADLINE_MS_MAX).contains(&deadline_ms) {
            return Ok(());
        }
        let reason = format!("{deadline_ms} is not from 1 to {}", limits::DEADLINE_MS_MAX);
        Err(Error::invalid("deadline_ms", reason))
    }

    /// A request in tensor form.
    pub fn tensors(inputs: Vec<Tensor>) -> Self {
        let body = RequestBody::Tensors { inputs, outputs: None };
        Self { id: None, deadline_ms: None, parameters: Parameters::new(), body }
    }

    /// A request in short form.
    pub fn instances(instances: Instances) -> Self {
        Self {
            id: None,
            deadline_ms: None,
            parameters: Parameters::new(),
            body: RequestBody::Instances(instances),
        }
    }

    /// Reads a request and says how it was written, hence how the reply must be.
    ///
    /// No declared length is trusted: shapes are checked against the values that are really there.
    ///
    /// # Errors
    /// [`Error::TooLarge`] naming the limit (413), any other [`Error`] for what is no request (400).
    pub fn decode(payload: &[u8]) -> Result<(Self, Encoding), Error> {
        decoding::request(payload)
    }

    /// Writes the request. In MessagePack numbers go as `bin`.
    ///
    /// # Errors
    /// [`Error::Unencodable`]; it does not happen to a request that could be decoded.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, Error> {
        codec::encode(encoding, self)
    }

    /// What matters while it waits.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `priority` or `timeout` is no whole number from 0.
    pub fn envelope(&self) -> Result<Envelope, Error> {
        Envelope::of(self.deadline_ms, &self.parameters)
    }

    /// How many rows there are: the first dimension of the first input, or the length of `instances`.
    pub fn rows(&self) -> usize {
        match &self.body {
            RequestBody::Tensors { inputs, .. } => inputs.first().map_or(0, Tensor::rows),
            RequestBody::Instances(instances) => instances.rows(),
        }
    }

    /// The form the reply must have.
    pub const fn reply_form(&self) -> ReplyForm {
        match self.body {
            RequestBody::Tensors { .. } => ReplyForm::Tensors,
            RequestBody::Instances(_) => ReplyForm::Predictions,
        }
    }
}

impl Instances {
    /// Rows of equal shape.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] when the shape does not fit the values.
    pub fn rows_of(shape: Vec<usize>, values: Vec<f32>) -> Result<Self, Error> {
        let expected = element_count("instances", &shape)?;
        if expected != values.len() {
            let reason = format!("shape {shape:?} needs {expected} values, found {}", values.len());
            return Err(Error::invalid("instances", reason));
        }
        Ok(Self::Rows { shape, values })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        match self {
            Self::Rows { shape, .. } => shape.first().copied().unwrap_or(0),
            Self::Table { columns, cells } => cells.len().checked_div(columns.len()).unwrap_or(0),
        }
    }

    /// The rows of a range, which must lie within them; what lies beyond is left out.
    pub fn rows_in(&self, rows: Range<usize>) -> Self {
        let end = rows.end.min(self.rows());
        let start = rows.start.min(end);
        match self {
            Self::Rows { shape, values } => {
                let stride = shape.iter().skip(1).product::<usize>();
                let mut shape = shape.clone();
                shape.iter_mut().take(1).for_each(|count| *count = end - start);
                let values = values.get(start * stride..end * stride).unwrap_or_default().to_vec();
                Self::Rows { shape, values }
            }
            Self::Table { columns, cells } => {
                let range = start * columns.len()..end * columns.len();
                let cells = cells.get(range).unwrap_or_default().to_vec();
                Self::Table { columns: columns.clone(), cells }
            }
        }
    }
}

impl Serialize for InferRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outputs = match &self.body {
            RequestBody::Tensors { outputs, .. } => outputs.as_ref(),
            RequestBody::Instances(_) => None,
        };
        let optional =
            [self.id.is_some(), self.deadline_ms.is_some(), !self.parameters.is_empty(), outputs.is_some()];
        let entries = 1 + optional.into_iter().filter(|is_there| *is_there).count();
        let mut map = serializer.serialize_map(Some(entries))?;
        if let Some(id) = &self.id {
            map.serialize_entry("id", id)?;
        }
        if let Some(deadline) = &self.deadline_ms {
            map.serialize_entry("deadline_ms", deadline)?;
        }
        if !self.parameters.is_empty() {
            map.serialize_entry("parameters", &self.parameters)?;
        }
        match &self.body {
            RequestBody::Tensors { inputs, .. } => map.serialize_entry("inputs", inputs)?,
            RequestBody::Instances(instances) => map.serialize_entry("instances", instances)?,
        }
        if let Some(outputs) = outputs {
            map.serialize_entry("outputs", outputs)?;
        }
        map.end()
    }
}

impl Serialize for Instances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Rows { shape, values } => Nested { values, shape }.serialize(serializer),
            Self::Table { columns, cells } => {
                let rows = cells.chunks(columns.len().max(1)).map(|cells| TableRow { columns, cells });
                serializer.collect_seq(rows)
            }
        }
    }
}

struct TableRow<'request> {
    columns: &'request [String],
    cells: &'request [Option<Scalar>],
}

impl Serialize for TableRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.columns.iter().zip(self.cells))
    }
}
