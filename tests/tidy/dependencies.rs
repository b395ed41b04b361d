//! The dependency table: a crate may use only what its row allows.

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::{assert_tidy, workspace_root};

const PLATFORM: &[&str] = &["contract", "messaging", "service-runtime", "catalogue"];
const MODEL: &[&str] = &["pauses", "kernels", "model", "engine", "training", "compression", "statistics"];
const SERVICES: &[&str] = &["trainer", "compressor", "inference-worker", "monitor"];

/// Which crates of this workspace each crate may use; the same table stands in `crates/README.md`.
fn allowed(name: &str) -> Option<Vec<&'static str>> {
    let row: Vec<&'static str> = match name {
        "pauses" | "statistics" | "contract" => vec![],
        "kernels" | "model" => vec!["pauses"],
        "engine" => vec!["pauses", "kernels", "model"],
        "training" => vec!["model", "engine"],
        "compression" => vec!["model", "engine", "training"],
        "load" => vec!["contract", "messaging", "statistics"],
        "bench" => [PLATFORM, MODEL, &["broker", "load"]].concat(),
        "broker" | "messaging" => vec!["contract"],
        "service-runtime" => vec!["contract", "messaging"],
        "catalogue" => vec!["contract", "messaging", "service-runtime"],
        "gateway" => PLATFORM.to_vec(),
        service if SERVICES.contains(&service) => [PLATFORM, MODEL].concat(),
        "cli" | "test-harness" => [PLATFORM, MODEL, SERVICES, &["broker", "gateway", "load"]].concat(),
        _ => return None,
    };
    Some(row)
}

/// External crates that only some crates may name, and those that do.
const RESERVED: &[(&str, &[&str])] = &[
    ("rmp", &["contract"]),
    ("rmp-serde", &["model", "contract"]),
    ("async-nats", &["messaging"]),
    ("config", &["service-runtime"]),
];

/// What the model layer must never reach for.
const FOREIGN_TO_MODELS: &[&str] = &["tokio", "async-nats", "axum", "futures-util", "tracing"];

fn packages() -> Vec<Package> {
    let manifest = workspace_root().join("Cargo.toml");
    let metadata =
        MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("cargo metadata runs");
    metadata.packages
}

fn short(name: &str) -> &str {
    name.strip_prefix("leat-").unwrap_or(name)
}

fn normal_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal).map(|d| d.name.as_str())
}

#[test]
fn crates_use_only_what_their_row_allows() {
    let mut broken = Vec::new();
    for package in packages() {
        let name = short(&package.name);
        let Some(row) = allowed(name) else {
            broken.push(format!("{name} has no row in the dependency table"));
            continue;
        };
        for used in normal_dependencies(&package).filter(|d| d.starts_with("leat-")).map(short) {
            if !row.contains(&used) {
                broken.push(format!("{name} uses {used}, which its row does not allow"));
            }
        }
    }
    assert_tidy(&broken);
}

#[test]
fn reserved_crates_are_named_only_where_they_belong() {
    let mut broken = Vec::new();
    for package in packages() {
        let name = short(&package.name);
        for used in normal_dependencies(&package) {
            let owner = RESERVED.iter().find(|(reserved, _)| *reserved == used);
            if owner.is_some_and(|(_, owners)| !owners.contains(&name)) {
                broken.push(format!("{name} names {used}"));
            }
            if MODEL.contains(&name) && FOREIGN_TO_MODELS.contains(&used) {
                broken.push(format!("{name} belongs to the model layer and names {used}"));
            }
        }
    }
    assert_tidy(&broken);
}

#[test]
fn the_architecture_page_has_a_line_for_every_crate() {
    let page = std::fs::read_to_string(workspace_root().join("crates/README.md"))
        .expect("crates/README.md is there");
    let missing: Vec<String> = packages()
        .iter()
        .map(|package| short(&package.name).to_owned())
        .filter(|name| name != "test-harness" && !page.contains(&format!("| `{name}` |")))
        .map(|name| format!("crates/README.md has no line for {name}"))
        .collect();
    assert_tidy(&missing);
}
