//! Any body with raw tensors behind its JSON either is refused, or is a request that the contract can write.
//!
//! Run with `cargo +nightly fuzz run read_binary` in `crates/gateway`.
#![no_main]

use leat_contract::Encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (json_bytes, body) = input;
    let Ok(request) = leat_gateway::decoding::binary_request(body, json_bytes.into()) else { return };
    request.encode(Encoding::MessagePack).expect("a request that was read can be written");
});
