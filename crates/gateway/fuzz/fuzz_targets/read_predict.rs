//! Any body of TensorFlow Serving's `:predict` either is refused or is read.
//!
//! Run with `cargo +nightly fuzz run read_predict` in `crates/gateway`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let _ = leat_gateway::decoding::predict_request(body);
});
