//! Golden bytes of format version 1. `LEAT_UPDATE=1 cargo test -p leat-model golden` writes the files anew; do that for a
//! new sample only, never to make a changed format pass.

use std::path::{Path, PathBuf};

use leat_model::blob;

use crate::document::Value;
use crate::samples;

fn path(name: &str, extension: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension(extension)
}

#[test]
fn blobs_are_the_golden_bytes() {
    let is_update = std::env::var_os("LEAT_UPDATE").is_some_and(|value| value == "1");
    for (name, model) in samples::all() {
        let bytes = blob::write(&model).unwrap();
        let json = Value::read(&bytes).to_json();
        if is_update {
            std::fs::write(path(name, "msgpack"), &bytes).unwrap();
            std::fs::write(path(name, "json"), &json).unwrap();
        }
        assert_eq!(std::fs::read(path(name, "msgpack")).unwrap(), bytes, "{name}.msgpack is stale");
        assert_eq!(std::fs::read_to_string(path(name, "json")).unwrap(), json, "{name}.json is stale");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, 2 * samples::all().len(), "a golden file has no sample");
}

#[test]
fn golden_bytes_are_read_as_their_models() {
    for (name, model) in samples::all() {
        let bytes = std::fs::read(path(name, "msgpack")).unwrap();
        assert_eq!(blob::read(&bytes).unwrap(), model, "{name}");
    }
}
