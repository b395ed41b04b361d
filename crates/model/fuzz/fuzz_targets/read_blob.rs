//! Reads arbitrary bytes as a model blob: the answer is an error, or a model whose blob is exactly those bytes.
//!
//! The golden blobs are the seeds. From `crates/model`:
//!
//! ```sh
//! mkdir -p fuzz/corpus/read_blob && cp tests/golden/*.msgpack fuzz/corpus/read_blob/
//! cargo +nightly fuzz run read_blob -- -max_len=65536 -rss_limit_mb=512
//! ```
#![no_main]

use leat_model::blob;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = blob::read(bytes) {
        let written = blob::write(&model).expect("a model that was read can be written");
        assert!(written == bytes, "one model has two blobs");
        if let leat_model::Body::Network(network) = &model.body {
            for layer in &network.layers {
                assert_eq!(layer.weights.to_f32().len(), layer.weights.len());
            }
        }
    }
});
