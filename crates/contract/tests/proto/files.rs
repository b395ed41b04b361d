//! The files of `proto/`: read, compare, and write when asked to.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

use serde_json::Value;

const UPDATE: &str = "LEAT_UPDATE=1 cargo test -p leat-contract";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto").join(name)
}

fn must_update() -> bool {
    std::env::var_os("LEAT_UPDATE").is_some_and(|value| value == "1")
}

pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("proto/{name}: {error}; run {UPDATE}"))
}

fn write(name: &str, content: &str) {
    let path = path(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Compares a file that may be made again at any time.
pub(crate) fn check_generated(name: &str, content: &str) {
    if must_update() {
        write(name, content);
    }
    assert!(read(name) == content, "proto/{name} is stale; run {UPDATE}");
}

/// Compares a file that is written once and never again.
pub(crate) fn check_golden(name: &str, content: &str) {
    let name = format!("golden/{name}");
    if must_update() && !path(&name).exists() {
        write(&name, &format!("{content}\n"));
    }
    let golden = read(&name);
    assert_eq!(
        golden,
        format!("{content}\n"),
        "proto/{name}: golden messages never change; a change adds a new one"
    );
}

pub(crate) fn golden(name: &str) -> String {
    read(&format!("golden/{name}")).trim_end().to_owned()
}

pub(crate) fn names(folder: &str) -> BTreeSet<String> {
    let entries =
        fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("proto/{folder}: {error}; run {UPDATE}"));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Puts a table between its two markers.
pub(crate) fn replace_section(document: &str, name: &str, content: &str) -> String {
    let (begin, end) =
        (format!("<!-- begin generated {name} -->\n"), format!("<!-- end generated {name} -->"));
    let (before, rest) =
        document.split_once(&begin).unwrap_or_else(|| panic!("README.md has no section {name}"));
    let (_, after) =
        rest.split_once(&end).unwrap_or_else(|| panic!("section {name} of README.md has no end"));
    format!("{before}{begin}{content}{end}{after}")
}

/// JSON with keys in alphabetical order whatever features the build has, so that every build writes the same file.
pub(crate) fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(&sorted(value)).unwrap();
    text.push('\n');
    text
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|left, right| left.0.cmp(right.0));
            entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect()
        }
        Value::Array(values) => values.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
