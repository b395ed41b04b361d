//! Makes the streams behind all assets, and never believes that they are as they should be without reading them.

use leat_contract::Subjects;
use leat_contract::assets::{self, Asset, AssetKind, AssetRole};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::jetstream::{INSUFFICIENT_STORAGE, JetStream, StreamInfo, nanoseconds};

/// Limits of which an operator may give more than is required, with the values by which the broker says unlimited.
const LOWER_BOUNDS: [(&str, &[i64]); 5] = [
    ("max_bytes", &[-1, 0]),
    ("max_age", &[0]),
    ("max_msg_size", &[-1, 0]),
    ("max_msgs_per_subject", &[-1, 0]),
    ("duplicate_window", &[]),
];

/// Makes, repairs and reads back every asset. A limit that an operator raised stays raised.
pub(crate) async fn provision(jetstream: &JetStream, subjects: &Subjects) -> Result<(), Error> {
    for asset in assets::all(subjects) {
        let required = required(&asset);
        match jetstream.stream_info(&asset.stream_name()).await {
            Err(Error::Missing { .. }) => {
                let created = create(jetstream, &asset, &required).await;
                created.map_err(|error| with_advice(error, subjects))?;
            }
            Err(error) => return Err(error),
            Ok(info) => repair(jetstream, &asset, &required, info).await?,
        }
    }
    verify(jetstream, subjects).await
}

/// Reads every asset and compares.
pub(crate) async fn verify(jetstream: &JetStream, subjects: &Subjects) -> Result<(), Error> {
    for asset in assets::all(subjects) {
        let stream = asset.stream_name();
        let found = match jetstream.stream_info(&stream).await {
            Err(Error::Missing { .. }) => return Err(Error::Missing { what: format!("stream {stream}") }),
            outcome => outcome?.config,
        };
        let differences = differences(&asset, &required(&asset), &found);
        if !differences.is_empty() {
            return Err(Error::Drifted { asset: stream, difference: differences.join("; ") });
        }
    }
    Ok(())
}

async fn create(jetstream: &JetStream, asset: &Asset, required: &Map<String, Value>) -> Result<(), Error> {
    let stream = asset.stream_name();
    let mut config = required.clone();
    // Whoever runs a cluster raises it with the tools of NATS; it is not compared.
    config.insert("num_replicas".to_owned(), Value::from(1));
    config.insert("description".to_owned(), Value::from(asset.holds));
    let made: Result<Value, Error> =
        jetstream.call(&format!("STREAM.CREATE.{stream}"), &Value::Object(config)).await;
    match made {
        // Another process made it in between; the final reading says whether it is the same.
        Err(Error::Storage { .. }) if jetstream.stream_info(&stream).await.is_ok() => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

/// The broker reserves the bytes of every asset when it is made, and says only that it cannot.
fn with_advice(error: Error, subjects: &Subjects) -> Error {
    match error {
        Error::Storage { code: INSUFFICIENT_STORAGE, description } => {
            let reserved = assets::bytes_max(subjects) >> 20;
            let advice = "set jetstream.max_file_store or free disk";
            let description = format!("{description}: Leat reserves {reserved} MiB: {advice}");
            Error::Storage { code: INSUFFICIENT_STORAGE, description }
        }
        other => other,
    }
}

async fn repair(
    jetstream: &JetStream,
    asset: &Asset,
    required: &Map<String, Value>,
    found: StreamInfo,
) -> Result<(), Error> {
    let differences = differences(asset, required, &found.config);
    if differences.is_empty() {
        return Ok(());
    }
    let stream = asset.stream_name();
    let difference = differences.join("; ");
    tracing::warn!(%stream, %difference, "repairing a stream that differs from what is required");
    let mut config = found.config;
    let needed = required.iter().filter(|(field, value)| !is_enough(asset, field, value, config.get(*field)));
    let needed: Map<String, Value> = needed.map(|(field, value)| (field.clone(), value.clone())).collect();
    config.extend(needed);
    let updated: Result<Value, Error> =
        jetstream.call(&format!("STREAM.UPDATE.{stream}"), &Value::Object(config)).await;
    match updated {
        Err(Error::Storage { description, .. }) => {
            Err(Error::Drifted { asset: stream, difference: format!("{difference}; {description}") })
        }
        outcome => outcome.map(|_| ()),
    }
}

/// The fields that differ, with what was found and what is required.
fn differences(asset: &Asset, required: &Map<String, Value>, found: &Map<String, Value>) -> Vec<String> {
    required
        .iter()
        .filter(|(field, value)| !is_enough(asset, field, value, found.get(*field)))
        .map(|(field, value)| {
            let found = found.get(field).map_or_else(|| "absent".to_owned(), Value::to_string);
            format!("{field} is {found}, required {value}")
        })
        .collect()
}

/// Whether what was found is what is required, or more of it where more does no harm. The age of a lease says when a
/// worker counts as gone, so it is no lower bound.
fn is_enough(asset: &Asset, field: &str, required: &Value, found: Option<&Value>) -> bool {
    let is_exact = asset.role == AssetRole::Actual && field == "max_age";
    let bound = LOWER_BOUNDS.iter().find(|(name, _)| *name == field && !is_exact);
    is_same(required, found) || bound.is_some_and(|(_, unlimited)| is_at_least(unlimited, required, found))
}

/// The broker leaves out what is false or zero.
fn is_same(required: &Value, found: Option<&Value>) -> bool {
    match found {
        Some(found) => found == required,
        None => matches!(required, Value::Bool(false)) || required.as_i64() == Some(0),
    }
}

fn is_at_least(unlimited: &[i64], required: &Value, found: Option<&Value>) -> bool {
    let found = found.map_or(Some(0), Value::as_i64);
    let (Some(required), Some(found)) = (required.as_i64(), found) else { return false };
    unlimited.contains(&found) || (!unlimited.contains(&required) && found >= required)
}

/// The configuration of the stream behind an asset, as far as Leat cares.
fn required(asset: &Asset) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |field: &str, value: Value| config.insert(field.to_owned(), value);
    set("name", Value::from(asset.stream_name()));
    set("storage", Value::from("file"));
    set("retention", Value::from(if asset.kind == AssetKind::WorkQueue { "workqueue" } else { "limits" }));
    set("discard", Value::from(if asset.kind == AssetKind::Log { "old" } else { "new" }));
    set("max_bytes", Value::from(asset.max_bytes));
    set("max_age", Value::from(asset.max_age.map_or(0, nanoseconds)));
    set("max_msg_size", asset.max_message_bytes.map_or(Value::from(-1), Value::from));
    set("allow_direct", Value::from(true));
    set("subjects", subjects_of(asset));
    let window = asset.duplicate_window.unwrap_or(DUPLICATE_WINDOW);
    set("duplicate_window", Value::from(nanoseconds(asset.max_age.map_or(window, |age| age.min(window)))));
    let keeps_last_per_subject = matches!(asset.kind, AssetKind::KeyValue { .. } | AssetKind::ObjectStore);
    set("allow_rollup_hdrs", Value::from(keeps_last_per_subject));
    match asset.kind {
        AssetKind::KeyValue { history } => {
            set("max_msgs_per_subject", Value::from(history));
            set("deny_delete", Value::from(true));
        }
        _ => {
            set("max_msgs_per_subject", Value::from(-1));
        }
    }
    config
}

/// The window of streams that do not ask for one; writes of values and objects rest on it when they are repeated.
const DUPLICATE_WINDOW: std::time::Duration = std::time::Duration::from_secs(120);

fn subjects_of(asset: &Asset) -> Value {
    let name = &asset.name;
    match asset.kind {
        AssetKind::KeyValue { .. } => json!([format!("$KV.{name}.>")]),
        AssetKind::ObjectStore => json!([format!("$O.{name}.C.>"), format!("$O.{name}.M.>")]),
        AssetKind::WorkQueue | AssetKind::Log => json!(asset.subjects),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_is_bounded() {
        for asset in assets::all(&Subjects::default()) {
            let config = required(&asset);
            assert!(config["max_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{}", asset.name);
            assert!(!config["subjects"].as_array().unwrap().is_empty(), "{}", asset.name);
        }
    }

    #[test]
    fn what_the_broker_leaves_out_counts_as_zero() {
        let required = json!({ "a": 0, "b": false, "c": 1 });
        let asset = Asset::new(&Subjects::default(), AssetRole::Events);
        let differences = differences(&asset, required.as_object().unwrap(), &Map::new());
        assert_eq!(differences, ["c is absent, required 1"]);
    }

    #[test]
    fn more_than_required_is_enough_except_for_the_age_of_leases() {
        let enough = |role, field: &str, required: i64, found: i64| {
            let asset = Asset::new(&Subjects::default(), role);
            is_enough(&asset, field, &Value::from(required), Some(&Value::from(found)))
        };
        let events = AssetRole::Events;
        assert!(enough(events, "max_bytes", 10, 20) && enough(events, "max_bytes", 10, -1));
        assert!(enough(events, "max_age", 10, 20) && enough(events, "max_age", 10, 0));
        assert!(!enough(events, "max_bytes", 10, 9) && !enough(events, "max_age", 10, 9));
        assert!(!enough(events, "max_msg_size", -1, 1000), "unlimited is required");
        assert!(!enough(events, "max_age", 0, 1000), "unlimited is required");
        assert!(
            !enough(AssetRole::Actual, "max_age", 10, 20) && !enough(AssetRole::Actual, "max_age", 10, 0)
        );
    }
}
