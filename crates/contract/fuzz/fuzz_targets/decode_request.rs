//! Any bytes either are refused, or are a request that is written and read again without change. What is read as a plain request is read
//! as the general decoder reads it.
//!
//! Run with `cargo +nightly fuzz run decode_request` in `crates/contract`.
#![no_main]

use leat_contract::{DurableRequest, Encoding, InferRequest, InferResponse, PlainRequest, PredictionsResponse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let _ = InferResponse::decode(payload);
    let _ = DurableRequest::id_of(payload);
    let _ = PredictionsResponse::decode(payload);
    let plain = PlainRequest::read(payload);
    let Ok((request, _)) = InferRequest::decode(payload) else {
        assert_eq!(plain, None);
        return;
    };
    let features: Vec<String> = (0..4).map(|place| format!("feature {place}")).collect();
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let bytes = request.encode(encoding).expect("a request that was read can be written");
        let (again, _) = InferRequest::decode(&bytes).expect("a request that was written can be read");
        assert_eq!(again.rows(), request.rows());
        // The second writing is compared because NaN, which stands for a missing value, equals nothing.
        assert_eq!(again.encode(encoding), Ok(bytes));
    }
    if let Some(plain) = plain {
        assert_eq!(
            (&plain.id, plain.deadline_ms, plain.rows),
            (&request.id, request.deadline_ms, request.rows())
        );
        let features: Vec<String> = (0..plain.width).map(|place| place.to_string()).collect();
        let rows = request.into_rows(plain.input, &features).expect("a plain request has the rows it says");
        assert!(rows.values.iter().map(|value| value.to_bits()).eq(plain.values().map(f32::to_bits)));
        return;
    }
    let _ = request.into_rows("input", &features);
});
