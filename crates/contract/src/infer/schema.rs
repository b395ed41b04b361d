//! JSON Schemas of the messages whose decoding is written by hand.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Datatype, InferRequest, InferResponse, Parameters, RequestedOutput, Tensor};
use crate::{ModelName, RequestId, Scalar, limits};

impl JsonSchema for Tensor {
    fn schema_name() -> Cow<'static, str> {
        "Tensor".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A named array: one input of a request or one output of a reply. The first dimension is the batch.",
            "type": "object",
            "required": ["name", "datatype", "shape", "data"],
            "properties": {
                "name": { "type": "string", "description": "Its name in the signature of the model." },
                "datatype": generator.subschema_for::<Datatype>(),
                "shape": {
                    "description": "The length of each dimension. Their product is the number of elements.",
                    "type": "array",
                    "items": { "type": "integer", "minimum": 1 },
                    "minItems": 1,
                    "maxItems": limits::DIMENSIONS_MAX
                },
                "data": {
                    "description": "The elements, row-major: flat, or arrays nested to the shape. In MessagePack also bin, little-endian without padding (not for BYTES). null is a missing value, in FP32 and FP64 only.",
                    "type": "array",
                    "items": generator.subschema_for::<NestedValues>(),
                    "minItems": 1
                },
                "parameters": generator.subschema_for::<Parameters>()
            }
        })
    }
}

/// A value or arrays of values to any depth.
struct NestedValues;

impl JsonSchema for NestedValues {
    fn schema_name() -> Cow<'static, str> {
        "NestedValues".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value or an array of values to any depth.",
            "anyOf": [
                { "type": ["number", "string", "boolean", "null"] },
                { "type": "array", "items": generator.subschema_for::<NestedValues>(), "minItems": 1 }
            ]
        })
    }
}

/// One row of the short form.
struct Instance;

impl JsonSchema for Instance {
    fn schema_name() -> Cow<'static, str> {
        "Instance".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One row: an array of numbers (null for a missing one), or an object of named columns. All rows are alike.",
            "anyOf": [
                { "type": "array", "items": generator.subschema_for::<NestedValues>(), "minItems": 1 },
                {
                    "type": "object",
                    "additionalProperties": generator.subschema_for::<Option<Scalar>>(),
                    "minProperties": 1,
                    "maxProperties": limits::COLUMNS_MAX
                }
            ]
        })
    }
}

impl JsonSchema for InferRequest {
    fn schema_name() -> Cow<'static, str> {
        "InferRequest".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A request for inference, with `inputs` (Open Inference Protocol V2) or with `instances` (short form).",
            "type": "object",
            "properties": {
                "id": generator.subschema_for::<Option<RequestId>>(),
                "deadline_ms": {
                    "description": "How long the caller waits, in milliseconds counted by the worker from receipt. After it there is no prediction.",
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "maximum": limits::DEADLINE_MS_MAX
                },
                "parameters": generator.subschema_for::<Option<Parameters>>(),
                "inputs": {
                    "type": "array",
                    "items": generator.subschema_for::<Tensor>(),
                    "minItems": 1,
                    "maxItems": limits::TENSORS_MAX
                },
                "outputs": {
                    "description": "Which outputs the reply shall have, in this order; all when absent. Only with `inputs`.",
                    "type": "array",
                    "items": generator.subschema_for::<RequestedOutput>(),
                    "maxItems": limits::TENSORS_MAX
                },
                "instances": {
                    "type": "array",
                    "items": generator.subschema_for::<Instance>(),
                    "minItems": 1,
                    "maxItems": limits::ROWS_MAX
                }
            },
            "additionalProperties": false,
            "oneOf": [
                { "required": ["inputs"] },
                { "required": ["instances"], "not": { "required": ["outputs"] } }
            ]
        })
    }
}

impl JsonSchema for InferResponse {
    fn schema_name() -> Cow<'static, str> {
        "InferResponse".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The answer to a request with `inputs`.",
            "type": "object",
            "required": ["model_name", "model_version", "outputs"],
            "properties": {
                "id": generator.subschema_for::<Option<RequestId>>(),
                "model_name": generator.subschema_for::<ModelName>(),
                "model_version": { "description": "The version that answered, as text.", "type": "string", "pattern": "^[1-9][0-9]*$" },
                "parameters": generator.subschema_for::<Option<Parameters>>(),
                "outputs": { "type": "array", "items": generator.subschema_for::<Tensor>(), "minItems": 1 }
            }
        })
    }
}
