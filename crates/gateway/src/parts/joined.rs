//! What answers to parts of a request are put together to.

use leat_contract::{Encoding, InferResponse, ModelVersion, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::refusal::Refusal;

/// An answer that can be put together.
pub(crate) trait Joined: Sized + Send + 'static {
    /// How requests for it are written, hence how it comes.
    const ENCODING: Encoding;

    /// Reads an answer.
    ///
    /// # Errors
    /// When it is none.
    fn read(payload: &[u8]) -> Result<Self, Refusal>;

    /// The version that gave it.
    ///
    /// # Errors
    /// When what stands there is none.
    fn version(&self) -> Result<ModelVersion, Refusal>;

    /// Puts the rows of the next part behind its own.
    ///
    /// # Errors
    /// When the two are not alike.
    fn join(&mut self, part: Self) -> Result<(), Refusal>;

    /// Gives it the id of the request.
    fn set_id(&mut self, id: Option<RequestId>);
}

impl Joined for InferResponse {
    const ENCODING: Encoding = Encoding::MessagePack;

    fn read(payload: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::decode(payload)?.0)
    }

    fn version(&self) -> Result<ModelVersion, Refusal> {
        Ok(self.model_version)
    }

    fn join(&mut self, part: Self) -> Result<(), Refusal> {
        if self.outputs.len() != part.outputs.len() {
            return Err(Refusal::internal("the parts of one answer have different outputs"));
        }
        for (output, more) in self.outputs.iter_mut().zip(part.outputs) {
            output.append_rows(more)?;
        }
        Ok(())
    }

    fn set_id(&mut self, id: Option<RequestId>) {
        self.id = id;
    }
}

/// The answer to `instances`, its rows as the worker wrote them: a number has as many digits as it would have in one answer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShortAnswer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<RequestId>,
    model_name: String,
    model_version: String,
    predictions: Vec<Box<RawValue>>,
}

impl ShortAnswer {
    /// About as many bytes as it has in JSON.
    pub(crate) fn bytes(&self) -> usize {
        self.predictions.iter().map(|row| row.get().len()).sum()
    }
}

impl Joined for ShortAnswer {
    const ENCODING: Encoding = Encoding::Json;

    fn read(payload: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(payload).map_err(|error| Refusal::internal(error.to_string()))
    }

    fn version(&self) -> Result<ModelVersion, Refusal> {
        let version = self.model_version.parse();
        version.map_err(|_| Refusal::internal("the version that answered is none"))
    }

    fn join(&mut self, part: Self) -> Result<(), Refusal> {
        self.predictions.extend(part.predictions);
        Ok(())
    }

    fn set_id(&mut self, id: Option<RequestId>) {
        self.id = id;
    }
}
