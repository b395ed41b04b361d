use clap::{Args, Subcommand};
use leat_contract::{AliasName, Manifest, ModelRef};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Look at, compare and remove model versions.
#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// List every version.
    #[command(after_help = "Example: leat models ls")]
    Ls,
    /// Show one version: what it is, how good, how big, how fast, where from.
    #[command(after_help = "Example: leat models show wine@2 --output json")]
    Show(Show),
    /// Compare two versions.
    #[command(after_help = "Example: leat models diff wine@1 wine@2")]
    Diff(Diff),
    /// Remove a version that no deployment needs, with its blob and aliases. Its number is never used again.
    #[command(after_help = "Example: leat models rm wine@1")]
    Rm(Rm),
}

/// Show one version.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// For example wine@2, wine@production, or wine for the latest.
    model: ModelRef,
}

/// Compare two versions.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The one before.
    before: ModelRef,
    /// The one after.
    after: ModelRef,
}

/// Remove a version.
#[derive(Debug, Args)]
pub(crate) struct Rm {
    /// For example wine@2.
    model: ModelRef,
}

pub(crate) async fn run(global: &GlobalOptions, models: Models) -> Result<(), Error> {
    let session = Session::open(global).await?;
    match models {
        Models::Ls => list(&session).await,
        Models::Show(show) => {
            print_manifest(&session, &session.catalogue().registry().resolve(&show.model).await?)
        }
        Models::Diff(diff) => compare(&session, &diff).await,
        Models::Rm(rm) => remove(&session, &rm.model).await,
    }
}

/// A version as a program reads it in a list.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    aliases: Vec<AliasName>,
}

async fn list(session: &Session) -> Result<(), Error> {
    let manifests = session.catalogue().registry().all().await?;
    let aliases = session.catalogue().registry().aliases().await?;
    let names = |manifest: &Manifest| {
        aliases.get(&(manifest.model.clone(), manifest.version)).cloned().unwrap_or_default()
    };
    if session.is_json() {
        let listed = manifests.iter().map(|manifest| Listed { manifest, aliases: names(manifest) });
        return output::json(&listed.collect::<Vec<_>>());
    }
    let rows = manifests.iter().map(|manifest| {
        vec![
            reference(manifest),
            manifest.task.to_string(),
            headline(manifest),
            output::bytes(manifest.bytes),
            manifest.encoding.clone(),
            names(manifest).iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            output::moment(manifest.created_at),
        ]
    });
    let header = ["model", "task", "held-out", "size", "encoding", "alias", "created (UTC)"];
    output::line(&output::table(&header, rows.collect()));
    Ok(())
}

/// Prints one version, as text or JSON.
pub(crate) fn print_manifest(session: &Session, manifest: &Manifest) -> Result<(), Error> {
    if session.is_json() {
        return output::json(manifest);
    }
    output::line(&format!(
        "{} ({}, {})",
        reference(manifest),
        manifest.task,
        output::moment(manifest.created_at)
    ));
    let facts = facts(manifest);
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        output::line(&format!("  {name:width$}  {value}"));
    }
    if !manifest.compression.is_empty() {
        output::line(&compression(manifest));
    }
    Ok(())
}

fn facts(manifest: &Manifest) -> Vec<(String, String)> {
    let mut facts = vec![
        ("digest".to_owned(), manifest.digest.to_string()),
        ("size".to_owned(), output::bytes(manifest.bytes)),
        ("parameters".to_owned(), format!("{} ({})", manifest.parameters, manifest.encoding)),
        ("features".to_owned(), manifest.features.len().to_string()),
        ("labels".to_owned(), shortened(&manifest.labels)),
    ];
    facts.extend(
        manifest.metrics.iter().map(|(name, value)| (format!("held-out {name}"), format!("{value:.4}"))),
    );
    if let Some(latency) = &manifest.latency {
        let before = latency.before.as_ref();
        let before = before.map(|before| format!(" (parent {:.2} µs)", before.p50_us)).unwrap_or_default();
        let text = format!("{:.2} µs median at batch {}{before}", latency.p50_us, latency.batch);
        facts.push(("latency".to_owned(), text));
    }
    if let Some(parent) = manifest.parent {
        facts.push(("made from".to_owned(), format!("{}@{parent}", manifest.model)));
    }
    if let Some(dataset) = &manifest.dataset {
        facts.push(("data".to_owned(), format!("{} ({})", dataset.name, dataset.digest)));
    }
    facts
}

/// What each compression step did, before and after.
fn compression(manifest: &Manifest) -> String {
    let rows = manifest.compression.iter().map(|report| {
        let number = |name: &str| report.get(name).and_then(Value::as_u64);
        let change = |before: &str, after: &str, show: &dyn Fn(u64) -> String| {
            number(before)
                .zip(number(after))
                .map_or_else(String::new, |(before, after)| format!("{} → {}", show(before), show(after)))
        };
        let saturated = report.get("layers").and_then(Value::as_array).map_or(0, |layers| {
            layers.iter().filter_map(|layer| layer.get("saturated").and_then(Value::as_u64)).sum()
        });
        vec![
            report.get("step").map(words).unwrap_or_default(),
            change("parameter_bytes_before", "parameter_bytes_after", &output::bytes),
            change("nonzero_before", "nonzero_after", &|count| count.to_string()),
            held_out(report),
            saturated.to_string(),
        ]
    });
    let header = ["step", "weights", "nonzero", "held-out", "saturated"];
    output::table(&header, rows.collect())
}

/// A step as a person would say it: `prune l1_neurons rate 0.5`.
fn words(step: &Value) -> String {
    match step {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name} {}", words(value));
            fields.iter().map(field).collect::<Vec<_>>().join(" ")
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The figure that says most, before and after.
fn held_out(report: &Map<String, Value>) -> String {
    let metric = |when: &str, name: &str| report.get(when).and_then(|metrics| metrics.get(name)?.as_f64());
    let found = HEADLINES
        .into_iter()
        .find_map(|name| Some((name, metric("held_out_before", name)?, metric("held_out_after", name)?)));
    found.map(|(name, before, after)| format!("{name} {before:.4} → {after:.4}")).unwrap_or_default()
}

async fn compare(session: &Session, diff: &Diff) -> Result<(), Error> {
    let before = session.catalogue().registry().resolve(&diff.before).await?;
    let after = session.catalogue().registry().resolve(&diff.after).await?;
    if session.is_json() {
        return output::json(&serde_json::json!({ "before": before, "after": after }));
    }
    let mut rows = vec![
        vec![
            "size".to_owned(),
            output::bytes(before.bytes),
            output::bytes(after.bytes),
            ratio(&before, &after),
        ],
        vec![
            "parameters".to_owned(),
            before.parameters.to_string(),
            after.parameters.to_string(),
            String::new(),
        ],
        vec!["encoding".to_owned(), before.encoding.clone(), after.encoding.clone(), String::new()],
    ];
    for (name, value) in &before.metrics {
        if let Some(other) = after.metrics.get(name) {
            rows.push(vec![
                name.clone(),
                format!("{value:.4}"),
                format!("{other:.4}"),
                format!("{:+.4}", other - value),
            ]);
        }
    }
    output::line(&output::table(&["", &reference(&before), &reference(&after), "change"], rows));
    Ok(())
}

async fn remove(session: &Session, model: &ModelRef) -> Result<(), Error> {
    if model.version.is_none() {
        return Err(Error::Usage(format!("name the version to remove, for example {model}@1")));
    }
    let manifest = session.catalogue().registry().resolve(model).await?;
    session.catalogue().remove(&manifest).await?;
    if session.is_json() {
        return output::json(&serde_json::json!({ "removed": reference(&manifest) }));
    }
    output::line(&format!("removed {}", reference(&manifest)));
    Ok(())
}

/// `wine@2`.
pub(crate) fn reference(manifest: &Manifest) -> String {
    manifest.model.at(manifest.version).to_string()
}

/// The figures that say most, the best first.
const HEADLINES: [&str; 3] = ["accuracy", "r2", "rmse"];

/// The one figure that says most.
fn headline(manifest: &Manifest) -> String {
    let first = HEADLINES.iter().find_map(|name| Some((name, manifest.metrics.get(*name)?)));
    first.map(|(name, value)| format!("{value:.4} {name}")).unwrap_or_default()
}

fn ratio(before: &Manifest, after: &Manifest) -> String {
    format!("{:.2}× smaller", before.bytes as f64 / after.bytes.max(1) as f64)
}

fn shortened(labels: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown = labels.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if labels.len() > SHOWN { format!("{shown}, … ({} in all)", labels.len()) } else { shown }
}
