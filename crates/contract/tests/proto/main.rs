//! Makes the folder `proto/` from the types and fails when it is stale. `LEAT_UPDATE=1 cargo test -p leat-contract` writes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say so at once"
)]

mod asyncapi;
mod channels;
mod files;
mod messages;
mod samples;
mod tables;

use std::collections::BTreeSet;

use leat_contract::{Encoding, decode};
use serde_json::Value;

#[test]
fn golden_messages_are_what_the_types_write_and_read() {
    for sample in samples::all() {
        files::check_golden(
            &format!("{}.json", sample.name),
            &String::from_utf8(sample.json.clone()).unwrap(),
        );
        files::check_golden(&format!("{}.hex", sample.name), &files::hex(&sample.messagepack));
        let (json, messagepack) =
            (files::golden(&format!("{}.json", sample.name)), files::golden(&format!("{}.hex", sample.name)));
        assert!((sample.reads)(json.as_bytes()), "{}.json does not read as the sample", sample.name);
        assert!(
            (sample.reads)(&files::unhex(&messagepack)),
            "{}.hex does not read as the sample",
            sample.name
        );
    }
}

#[test]
fn every_message_has_a_sample_that_both_encodings_agree_on() {
    let shown: BTreeSet<_> = samples::all().into_iter().map(|sample| sample.message).collect();
    let known: BTreeSet<_> = messages::all().into_iter().map(|message| message.name).collect();
    assert_eq!(shown, known);
    for sample in samples::all().into_iter().filter(|sample| !sample.holds_binary) {
        let (json, _) = decode::<Value>(&sample.json).unwrap();
        let (messagepack, encoding) = decode::<Value>(&sample.messagepack).unwrap();
        assert_eq!(encoding, Encoding::MessagePack);
        assert_eq!(json, messagepack, "{}", sample.name);
    }
}

#[test]
fn schemas_are_those_of_the_types() {
    let messages = messages::all();
    for message in &messages {
        files::check_generated(&format!("schemas/{}.json", message.name), &files::pretty(&message.schema()));
    }
    let expected: BTreeSet<_> = messages.iter().map(|message| format!("{}.json", message.name)).collect();
    assert_eq!(files::names("schemas"), expected);
}

#[test]
fn the_asyncapi_document_is_that_of_the_channels() {
    files::check_generated("asyncapi.json", &files::pretty(&asyncapi::document()));
}

#[test]
fn every_reference_of_the_asyncapi_document_leads_somewhere() {
    let document: Value = serde_json::from_str(&files::read("asyncapi.json")).unwrap();
    let references = asyncapi::references(&document);
    assert!(!references.is_empty());
    for reference in references {
        let leads_somewhere = match reference.split_once('#') {
            Some(("", pointer)) => document.pointer(pointer).is_some(),
            _ => serde_json::from_str::<Value>(&files::read(reference)).is_ok(),
        };
        assert!(leads_somewhere, "{reference}");
    }
}

#[test]
fn the_tables_of_the_readme_are_those_of_the_types() {
    let readme = files::read("README.md");
    let mut updated = readme.clone();
    for (name, table) in tables::all() {
        updated = files::replace_section(&updated, name, &table);
    }
    files::check_generated("README.md", &updated);
}

#[test]
fn every_message_travels_on_a_channel_or_is_stored() {
    let mut used: BTreeSet<&str> = channels::all()
        .iter()
        .flat_map(|channel| channel.messages.iter().chain(&channel.replies).copied())
        .collect();
    used.extend(["Manifest", "Alias", "Deployment", "WorkerLease", "JobStatus"]);
    // The `data` of `MicroStats`, which may be anything to the protocol.
    used.insert("InferenceFigures");
    let known: BTreeSet<&str> = messages::all().into_iter().map(|message| message.name).collect();
    assert_eq!(used, known);
}
