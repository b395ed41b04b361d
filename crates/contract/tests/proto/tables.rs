//! The generated parts of `proto/README.md`.

use std::{fmt::Write as _, time::Duration};

use leat_contract::{
    Asset, AssetKind, AssetRole, ContractVersion, Datatype, Encoding, ErrorCode, Subjects, assets, headers,
    limits, micro::MicroVerb,
};

use crate::{
    channels::{self, Channel, Delivery},
    files, messages, samples,
};

pub(crate) fn all() -> Vec<(&'static str, String)> {
    let mut sections = vec![
        ("subjects", subjects()),
        ("messages", message_table()),
        ("datatypes", datatypes()),
        ("errors", errors()),
        ("delivery", delivery()),
        ("assets", asset_table()),
        ("headers", header_table()),
        ("limits", limit_table()),
        ("micro", micro()),
        ("versions", versions()),
    ];
    sections.extend(examples());
    sections
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).unwrap();
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn schema_links(names: &[&str]) -> String {
    if names.is_empty() {
        return "–".to_owned();
    }
    names.iter().map(|name| format!("[{name}](schemas/{name}.json)")).collect::<Vec<_>>().join(", ")
}

fn subjects() -> String {
    let rows = channels::all().into_iter().map(|channel| {
        let listener = stream_of(&channel).map_or(channel.listener.to_owned(), |asset| {
            let stream = format!("stream `{}`", asset.name);
            if channel.listener == "stream" { stream } else { format!("{stream}, {}", channel.listener) }
        });
        let (messages, replies) = (schema_links(&channel.messages), schema_links(&channel.replies));
        vec![
            code(&channel.subject.replace('{', "<").replace('}', ">")),
            listener,
            channel.what.to_owned(),
            messages,
            replies,
        ]
    });
    table(&["subject", "who listens", "what", "message", "reply"], rows)
}

fn stream_of(channel: &Channel) -> Option<Asset> {
    match channel.delivery {
        Delivery::Queue(role) | Delivery::Log(role) | Delivery::BestEffort(role) => {
            Some(Asset::new(&Subjects::default(), role))
        }
        Delivery::RequestReply | Delivery::Lossy => None,
    }
}

fn message_table() -> String {
    let rows = messages::all().into_iter().map(|message| {
        let encodings = message.encodings.iter().map(Encoding::to_string).collect::<Vec<_>>().join(" or ");
        let examples = samples::all().into_iter().filter(|sample| sample.message == message.name);
        let links = |sample: samples::Sample| {
            format!("{0} [JSON](golden/{0}.json) [hex](golden/{0}.hex)", sample.name)
        };
        let examples = examples.map(links).collect::<Vec<_>>().join("<br>");
        vec![schema_links(&[message.name]), encodings, examples]
    });
    table(&["message", "on the wire", "examples"], rows)
}

fn datatypes() -> String {
    let rows = Datatype::ALL.into_iter().map(|datatype| {
        let bytes = datatype.element_bytes().map_or("no `bin` form".to_owned(), |bytes| bytes.to_string());
        let values = match datatype {
            Datatype::Bool => "`true`, `false`; in `bin` 1 and 0",
            Datatype::Fp32 | Datatype::Fp64 => "numbers; `null` for a missing value, in `bin` NaN",
            Datatype::Bytes => "strings in UTF-8",
            _ => "whole numbers in range",
        };
        vec![code(datatype.as_str()), bytes, values.to_owned()]
    });
    table(&["datatype", "bytes per element in `bin`", "elements of an array"], rows)
}

fn errors() -> String {
    let rows = ErrorCode::ALL.into_iter().map(|error| {
        let retry = if error.retryable() { "yes" } else { "no" };
        vec![error.status().to_string(), code(error.name()), error.meaning().to_owned(), retry.to_owned()]
    });
    table(&["code", "name", "when", "retryable"], rows)
}

/// One row for all subjects that are delivered alike.
fn delivery() -> String {
    let mut rows: Vec<([String; 3], Vec<String>)> = Vec::new();
    for channel in channels::all() {
        let (subject, semantics) =
            (code(&channel.subject.replace('{', "<").replace('}', ">")), semantics(&channel));
        match rows.iter_mut().find(|(known, _)| *known == semantics) {
            Some((_, subjects)) => subjects.push(subject),
            None => rows.push((semantics, vec![subject])),
        }
    }
    let rows = rows.into_iter().map(|([guarantee, loss, duplicates], subjects)| {
        vec![subjects.join("<br>"), guarantee, loss, duplicates]
    });
    table(&["path", "delivered", "what a failure does", "duplicates"], rows)
}

fn semantics(channel: &Channel) -> [String; 3] {
    let none = "none".to_owned();
    let window = |asset: &Asset| {
        let window = asset.duplicate_window.map_or("nothing".to_owned(), age);
        format!("a second copy with the same `{}` within {window} is dropped", headers::MESSAGE_ID)
    };
    match (channel.delivery, stream_of(channel)) {
        (Delivery::RequestReply, _) => [
            "at most once, one reply or none".to_owned(),
            "no listener: the broker says 503 at once; a listener that dies: silence, so use a timeout. Inference and metadata may be asked again".to_owned(),
            none,
        ],
        (Delivery::Queue(_), Some(asset)) => [
            format!("at least once, once `{}` has acknowledged", asset.name),
            "a worker that dies: delivered again; given up after the last attempt: copied to the dead letters".to_owned(),
            window(&asset),
        ],
        (Delivery::Log(_), Some(asset)) => [
            format!("at least once into `{}`, kept {}; live subscribers at most once", asset.name, asset.max_age.map_or("for ever".to_owned(), age)),
            "read the stream again from the last sequence you handled".to_owned(),
            window(&asset),
        ],
        (Delivery::BestEffort(_), Some(asset)) => [
            format!("at most once into `{}`, kept {}; may be missing while the broker is away", asset.name, asset.max_age.map_or("for ever".to_owned(), age)),
            "read the stream again from the last sequence you handled; status documents and the registry are what counts".to_owned(),
            window(&asset),
        ],
        _ => [
            "at most once to those who listen now".to_owned(),
            "lost; the next message carries on".to_owned(),
            none,
        ],
    }
}

fn asset_table() -> String {
    let all = assets::all(&Subjects::default());
    let rows = all.iter().map(|asset| {
        let kind = match asset.kind {
            AssetKind::ObjectStore => "object store".to_owned(),
            AssetKind::KeyValue { history } => format!("key-value, history {history}"),
            AssetKind::WorkQueue => "work queue, refuses when full".to_owned(),
            AssetKind::Log => "stream, drops the oldest when full".to_owned(),
        };
        let keys = match asset.subjects.as_slice() {
            [] => asset.keys.to_owned(),
            subjects => subjects.iter().map(|subject| code(subject)).collect::<Vec<_>>().join(", "),
        };
        let age = asset.max_age.map_or("for ever".to_owned(), age);
        vec![code(&asset.name), kind, keys, asset.holds.to_owned(), bytes(asset.max_bytes), age]
    });
    let mut text = table(&["asset", "kind", "keys or subjects", "holds", "bytes at most", "kept"], rows);
    let total = bytes(assets::bytes_max(&Subjects::default()));
    let job = Asset::new(&Subjects::default(), AssetRole::JobQueue).max_message_bytes.map(u64::from);
    let job = job.map_or("any size".to_owned(), bytes);
    write!(text, "\nAll together at most {total}. One message of the job queue has at most {job}.\n")
        .unwrap();
    text
}

fn bytes(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    if bytes.is_multiple_of(1024 * MIB) {
        format!("{} GiB", bytes / (1024 * MIB))
    } else if bytes.is_multiple_of(MIB) {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{} KiB", bytes / 1024)
    }
}

fn age(age: Duration) -> String {
    match age.as_secs() {
        seconds if seconds.is_multiple_of(24 * 3600) => format!("{} d", seconds / (24 * 3600)),
        seconds => format!("{seconds} s"),
    }
}

fn header_table() -> String {
    let rows = headers::ALL.into_iter().map(|(name, meaning)| vec![code(name), meaning.to_owned()]);
    table(&["header", "meaning"], rows)
}

fn limit_table() -> String {
    let rows = limits::ALL.into_iter().map(|(what, limit)| vec![what.to_owned(), limit.to_string()]);
    table(&["limit", "at most"], rows)
}

fn micro() -> String {
    let replies = ["MicroPing", "MicroInfo", "MicroStats"];
    let rows = MicroVerb::ALL.into_iter().zip(replies).map(|(verb, reply)| {
        let subjects = verb.subjects("<name>", "<id>").map(|subject| code(&subject)).join(", ");
        vec![subjects, schema_links(&[reply])]
    });
    table(&["subjects", "reply"], rows)
}

fn versions() -> String {
    let rows = ContractVersion::ALL
        .into_iter()
        .map(|version| vec![version.as_str().to_owned(), version.adds().to_owned()]);
    table(&["version", "adds"], rows)
}

/// The golden messages that the text walks through.
fn examples() -> Vec<(&'static str, String)> {
    let names = [
        "infer-request-tensors",
        "infer-request-arrays",
        "infer-request-rows",
        "infer-request-columns",
        "infer-response-classification",
        "predictions-response-classification",
        "predictions-response-regression",
        "error-body-overloaded",
        "infer-reference",
        "label",
        "job-train",
    ];
    names.into_iter().map(|name| (name, example(name))).collect()
}

fn example(name: &str) -> String {
    let sample = samples::named(name);
    let json = String::from_utf8(sample.json).unwrap();
    let takes_messagepack = messages::all()
        .iter()
        .any(|message| message.name == sample.message && message.encodings.contains(&Encoding::MessagePack));
    let mut text = format!("```json\n{json}\n```\n");
    if takes_messagepack {
        write!(
            text,
            "\nThe same in MessagePack, as hexadecimal digits:\n\n```text\n{}\n```\n",
            wrapped(&sample.messagepack)
        )
        .unwrap();
    }
    text
}

/// Hexadecimal digits, 48 bytes a line.
fn wrapped(bytes: &[u8]) -> String {
    bytes.chunks(48).map(files::hex).collect::<Vec<_>>().join("\n")
}
