//! Checks the invariants that `crates/README.md` states: which crate may use which, and what source text may say.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking, in what it calls too")]

mod dependencies;
mod source;

use std::path::{Path, PathBuf};

/// The folder that holds the workspace manifest.
fn workspace_root() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.ancestors().nth(2).expect("crates/cli stands two folders below the workspace").to_path_buf()
}

/// Fails with every broken rule at once, so that one run shows all there is to mend.
fn assert_tidy(broken: &[String]) {
    assert!(broken.is_empty(), "{} rules are broken:\n  {}", broken.len(), broken.join("\n  "));
}
