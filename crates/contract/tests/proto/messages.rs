//! Every message with the encodings it travels in.

use leat_contract::{
    Alert, Alias, Deployment, DrainReply, DrainRequest,
    Encoding::{self, Json, MessagePack},
    ErrorBody, InferReference, InferRequest, InferResponse, InferenceFigures, JobEvent, JobMessage,
    JobStatus, Label, Manifest, ModelMetadata, PingReply, PredictionBatch, PredictionsResponse, RolloutEvent,
    Window, WorkerLease, WorkerTelemetry,
    micro::{MicroInfo, MicroPing, MicroStats},
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) encodings: &'static [Encoding],
    schema: fn() -> Value,
}

impl Message {
    pub(crate) fn schema(&self) -> Value {
        (self.schema)()
    }
}

const BOTH: &[Encoding] = &[Json, MessagePack];
const JSON: &[Encoding] = &[Json];
const MESSAGEPACK: &[Encoding] = &[MessagePack];

pub(crate) fn all() -> Vec<Message> {
    vec![
        message::<InferRequest>("InferRequest", BOTH),
        message::<InferReference>("InferReference", BOTH),
        message::<InferResponse>("InferResponse", BOTH),
        message::<PredictionsResponse>("PredictionsResponse", BOTH),
        message::<ErrorBody>("ErrorBody", BOTH),
        message::<ModelMetadata>("ModelMetadata", JSON),
        message::<Label>("Label", BOTH),
        message::<PredictionBatch>("PredictionBatch", MESSAGEPACK),
        message::<JobMessage>("JobMessage", JSON),
        message::<JobStatus>("JobStatus", JSON),
        message::<JobEvent>("JobEvent", JSON),
        message::<RolloutEvent>("RolloutEvent", JSON),
        message::<Manifest>("Manifest", JSON),
        message::<Alias>("Alias", JSON),
        message::<Deployment>("Deployment", JSON),
        message::<WorkerLease>("WorkerLease", JSON),
        message::<WorkerTelemetry>("WorkerTelemetry", MESSAGEPACK),
        message::<Window>("Window", JSON),
        message::<Alert>("Alert", JSON),
        message::<DrainRequest>("DrainRequest", JSON),
        message::<DrainReply>("DrainReply", JSON),
        message::<PingReply>("PingReply", JSON),
        message::<MicroPing>("MicroPing", JSON),
        message::<MicroInfo>("MicroInfo", JSON),
        message::<MicroStats>("MicroStats", JSON),
        message::<InferenceFigures>("InferenceFigures", JSON),
    ]
}

fn message<T: JsonSchema>(name: &'static str, encodings: &'static [Encoding]) -> Message {
    Message { name, encodings, schema: schema_of::<T> }
}

/// Draft 7, the dialect that AsyncAPI builds on.
fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value()
}
