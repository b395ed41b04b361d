//! Any bytes either are refused, or are a request that is written and read again without change.
//!
//! Run with `cargo +nightly fuzz run decode_request` in `crates/contract`.
#![no_main]

use leat_contract::{Encoding, InferRequest, InferResponse, PredictionsResponse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let _ = InferResponse::decode(payload);
    let _ = PredictionsResponse::decode(payload);
    let Ok((request, _)) = InferRequest::decode(payload) else { return };
    let features: Vec<String> = (0..4).map(|place| format!("feature {place}")).collect();
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let bytes = request.encode(encoding).expect("a request that was read can be written");
        let (again, _) = InferRequest::decode(&bytes).expect("a request that was written can be read");
        assert_eq!(again.rows(), request.rows());
        // The second writing is compared because NaN, which stands for a missing value, equals nothing.
        assert_eq!(again.encode(encoding), Ok(bytes));
    }
    let _ = request.into_rows("input", &features);
});
