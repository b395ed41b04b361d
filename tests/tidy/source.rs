//! Rules over the source text.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{assert_tidy, workspace_root};

/// One Rust file: its path from the root, its whole text, and its text without the tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }

    fn belongs_to(&self, krate: &str) -> bool {
        self.path.starts_with(&format!("crates/{krate}/"))
    }

    /// Lines that are not comments, with their numbers.
    fn statements(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.code.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        lines.filter(|(_, line)| !line.starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = workspace_root();
    let mut found = Vec::new();
    for folder in ["crates", "tests"] {
        collect(&root, &root.join(folder), &mut found);
    }
    assert!(found.len() > 50, "the walk found only {} files", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("folder is readable").map(|entry| entry.expect("entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            let is_build_output = path.ends_with("target");
            if !is_build_output {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("file is readable");
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().replace('\\', "/");
            found.push(Source { path, code });
        }
    }
}

/// Every statement outside tests that contains `word`, except in files for which `is_allowed` holds.
fn statements_with(word: &str, is_allowed: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut hits = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test() && !is_allowed(source)) {
        for (number, line) in source.statements().filter(|(_, line)| line.contains(word)) {
            hits.push(format!("{}:{number} says `{word}`: {line}", source.path));
        }
    }
    hits
}

#[test]
fn files_stop_at_four_hundred_lines_of_code() {
    let long = |source: &Source| !source.is_test() && source.code.lines().count() > 400;
    let broken: Vec<String> =
        sources().iter().filter(|s| long(s)).map(|s| format!("{} has over 400 lines", s.path)).collect();
    assert_tidy(&broken);
}

#[test]
fn names_say_what_a_file_is_about() {
    const VAGUE: &[&str] =
        &["common", "util", "utils", "helper", "helpers", "misc", "types", "core", "manager"];
    let stem = |path: &str| {
        Path::new(path).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let is_vague = |path: &str| {
        VAGUE.contains(&stem(path).as_str())
            || path.split('/').any(|folder| VAGUE.contains(&folder))
            || stem(path) == "mod"
    };
    let broken: Vec<String> = sources()
        .iter()
        .filter(|s| is_vague(&s.path))
        .map(|s| format!("{} has a vague name", s.path))
        .collect();
    assert_tidy(&broken);
}

#[test]
fn nothing_is_left_for_later_and_no_banners_stand_between_sections() {
    const LATER: &[&str] = &["todo!", "unimplemented!", "TODO", "FIXME", "XXX", "HACK", "#[ignore"];
    // A test binary that starts itself again as the process to kill has a part that is no test.
    const BODY_OF_A_PROCESS: &str = "#[ignore = \"the body of another process";
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.path != "tests/tidy/source.rs") {
        for (index, line) in source.code.lines().enumerate() {
            let line = line.trim();
            let is_banner =
                line.starts_with("// ---") || line.starts_with("// ===") || line.starts_with("////");
            let is_later =
                LATER.iter().any(|word| line.contains(word)) && !line.starts_with(BODY_OF_A_PROCESS);
            if is_banner || is_later {
                broken.push(format!("{}:{}: {line}", source.path, index + 1));
            }
        }
    }
    assert_tidy(&broken);
}

#[test]
fn subjects_are_spelled_only_in_the_contract() {
    let mut broken = statements_with("\"leat.v1", |source| source.belongs_to("contract"));
    broken.extend(statements_with(".v1.{", |source| source.belongs_to("contract")));
    broken.extend(statements_with("\"$SRV", |source| source.belongs_to("contract")));
    assert_tidy(&broken);
}

#[test]
fn unsafe_code_lives_in_the_kernels() {
    let mut broken = statements_with("unsafe {", |source| source.belongs_to("kernels"));
    broken.extend(statements_with("unsafe fn", |source| source.belongs_to("kernels")));
    broken.extend(statements_with("allow(unsafe_code", |source| source.belongs_to("kernels")));
    assert_tidy(&broken);
}

#[test]
fn the_model_layer_knows_no_files_clocks_or_runtimes() {
    const MODEL: &[&str] = &["kernels", "model", "engine", "training", "compression", "statistics"];
    let outside = |source: &Source| {
        !MODEL.iter().any(|krate| source.belongs_to(krate))
            || source.path.starts_with("crates/engine/src/measure")
            || source.path.contains("/fuzz/")
            || source.path.contains("/examples/")
            || source.path.contains("/benches/")
    };
    let mut broken = Vec::new();
    for word in ["std::fs", "std::path", "std::net", "Instant::now", "SystemTime", "tokio::", "std::env"] {
        broken.extend(statements_with(word, outside));
    }
    assert_tidy(&broken);
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    let mut broken = Vec::new();
    for source in
        sources().iter().filter(|source| source.is_test() && !source.path.starts_with("tests/harness/"))
    {
        for (number, line) in source.statements().filter(|(_, line)| line.contains("sleep(")) {
            let is_this_rule = source.path == "tests/tidy/source.rs";
            if !is_this_rule {
                broken.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    assert_tidy(&broken);
}

#[test]
fn only_the_owners_name_their_crates_in_source() {
    let mut broken = statements_with("async_nats", |source| source.belongs_to("messaging"));
    broken.extend(statements_with("rmp_serde", |source| {
        source.belongs_to("model") || source.belongs_to("contract")
    }));
    // The filter directive that quiets the client's log lines is text, not a use of the crate.
    broken.retain(|line| !line.contains("async_nats=warn"));
    assert_tidy(&broken);
}
