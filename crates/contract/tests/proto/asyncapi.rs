//! The AsyncAPI 3.0.0 document of the channels.

use leat_contract::{ContractVersion, Encoding, headers};
use serde_json::{Map, Value, json};

use crate::{
    channels::{self, Channel, Direction},
    messages::{self, Message},
};

const INBOX: &str = "inbox";

pub(crate) fn document() -> Value {
    let channels = channels::all();
    let mut entries: Map<String, Value> =
        channels.iter().map(|channel| (channel.id.to_owned(), channel_entry(channel))).collect();
    entries.insert(INBOX.to_owned(), inbox(&channels));
    let operations: Map<String, Value> =
        channels.iter().map(|channel| (channel.id.to_owned(), operation_entry(channel))).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leat",
            "version": ContractVersion::CURRENT.as_str(),
            "description": "Trains, compresses, deploys, serves and monitors machine-learning models over NATS. README.md says the same in words, with examples.",
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" }
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": { "host": "127.0.0.1:4222", "protocol": "nats", "description": "A NATS server of version 2.10 or newer with JetStream." }
        },
        "channels": entries,
        "operations": operations,
        "components": { "messages": component_messages(), "messageTraits": { "traced": traced() } }
    })
}

fn channel_entry(channel: &Channel) -> Value {
    let mut entry = Map::from_iter([
        ("address".to_owned(), json!(channel.subject)),
        ("title".to_owned(), json!(channel.what)),
        ("messages".to_owned(), message_references(channel.messages.iter())),
    ]);
    let parameters = parameters(&channel.subject);
    if !parameters.is_empty() {
        entry.insert("parameters".to_owned(), Value::Object(parameters));
    }
    Value::Object(entry)
}

/// The channel of all replies. Its address is known only to who asks.
fn inbox(channels: &[Channel]) -> Value {
    json!({
        "address": null,
        "title": "the reply subject of a request, chosen by the NATS client that sends it",
        "messages": message_references(channels.iter().flat_map(|channel| &channel.replies))
    })
}

fn message_references<'names>(names: impl Iterator<Item = &'names &'static str>) -> Value {
    let reference = |id: String| (id.clone(), json!({ "$ref": format!("#/components/messages/{id}") }));
    Value::Object(message_ids(names).into_iter().map(reference).collect())
}

fn in_channel(channel: &str, names: &[&'static str]) -> Value {
    let reference = |id| json!({ "$ref": format!("#/channels/{channel}/messages/{id}") });
    message_ids(names.iter()).into_iter().map(reference).collect()
}

fn parameters(subject: &str) -> Map<String, Value> {
    let names = subject.split('.').filter_map(|token| token.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| (name.to_owned(), json!({ "description": parameter(name) }))).collect()
}

fn parameter(name: &str) -> &'static str {
    match name {
        "model" => {
            "The name of a model: 1 to 63 characters of a-z, 0-9, '_' and '-', the first a letter or digit."
        }
        "version" => "The number of a version, from 1.",
        "worker" => "The id of a worker.",
        "job" => "The id of a job.",
        "request" => "The id of a request, with '.', '*', '>' and '%' percent-encoded.",
        "stream" => "The name of the stream that gave the message up.",
        "end" => "One of promoted, rolled_back.",
        "what" => "One of started, progress, checkpointed, succeeded, failed, cancelled, retried.",
        other => panic!("parameter {other} has no description"),
    }
}

fn operation_entry(channel: &Channel) -> Value {
    let reference = json!({ "$ref": format!("#/channels/{}", channel.id) });
    let action = match channel.direction {
        Direction::ToLeat => "receive",
        Direction::FromLeat => "send",
    };
    let mut operation = Map::from_iter([
        ("action".to_owned(), Value::String(action.to_owned())),
        ("channel".to_owned(), reference),
        ("summary".to_owned(), Value::String(channel.what.to_owned())),
        ("messages".to_owned(), in_channel(channel.id, &channel.messages)),
    ]);
    if channel.listener.contains("queue group") {
        operation.insert(
            "bindings".to_owned(),
            json!({ "nats": { "queue": leat_contract::subjects::QUEUE_GROUP } }),
        );
    }
    if !channel.replies.is_empty() {
        let reply = json!({
            "channel": { "$ref": format!("#/channels/{INBOX}") },
            "messages": in_channel(INBOX, &channel.replies)
        });
        operation.insert("reply".to_owned(), reply);
    }
    Value::Object(operation)
}

/// One id per encoding: the name for JSON, with an ending for MessagePack.
fn message_ids<'names>(names: impl Iterator<Item = &'names &'static str>) -> Vec<String> {
    let all = messages::all();
    let message = |name: &str| all.iter().find(|message| message.name == name).unwrap();
    names
        .flat_map(|name| message(name).encodings.iter().map(|encoding| message_id(name, *encoding)))
        .collect()
}

fn message_id(name: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Json => name.to_owned(),
        Encoding::MessagePack => format!("{name}MessagePack"),
    }
}

fn component_messages() -> Map<String, Value> {
    let entry = |message: &Message, encoding: Encoding| {
        let content_type = match encoding {
            Encoding::Json => "application/json",
            Encoding::MessagePack => "application/msgpack",
        };
        let mut entry = Map::from_iter([
            ("name".to_owned(), json!(message.name)),
            ("contentType".to_owned(), json!(content_type)),
            ("payload".to_owned(), json!({ "$ref": format!("./schemas/{}.json", message.name) })),
            ("traits".to_owned(), json!([{ "$ref": "#/components/messageTraits/traced" }])),
        ]);
        if message.name == "ErrorBody" {
            entry.insert("headers".to_owned(), error_headers());
        }
        (message_id(message.name, encoding), Value::Object(entry))
    };
    let all = messages::all();
    all.iter()
        .flat_map(|message| message.encodings.iter().map(|encoding| entry(message, *encoding)))
        .collect()
}

fn error_headers() -> Value {
    json!({
        "type": "object",
        "required": [headers::SERVICE_ERROR, headers::SERVICE_ERROR_CODE],
        "properties": {
            headers::SERVICE_ERROR: { "type": "string" },
            headers::SERVICE_ERROR_CODE: { "type": "string", "pattern": "^[0-9]{3}$" }
        }
    })
}

fn traced() -> Value {
    json!({
        "headers": {
            "type": "object",
            "properties": {
                headers::TRACEPARENT: { "type": "string", "description": "W3C trace context of the sender." },
                headers::TRACESTATE: { "type": "string" }
            }
        }
    })
}

/// Every `$ref` in a document.
pub(crate) fn references(document: &Value) -> Vec<&str> {
    match document {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
