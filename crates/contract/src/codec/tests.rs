use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;
use crate::{DrainRequest, ErrorCode, Label, Scalar};

#[test]
fn the_first_byte_tells_the_encoding() {
    for first in *b"{[ \t\r\n" {
        assert_eq!(Encoding::detect(&[first]), Ok(Encoding::Json));
    }
    for first in (0x80..=0x8f).chain([0xde, 0xdf]) {
        assert_eq!(Encoding::detect(&[first]), Ok(Encoding::MessagePack));
    }
    let known = |byte: u8| b"{[ \t\r\n".contains(&byte) || matches!(byte, 0x80..=0x8f | 0xde | 0xdf);
    for first in (0..=255_u8).filter(|byte| !known(*byte)) {
        let error = Encoding::detect(&[first]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.to_string().contains(&format!("0x{first:02x}")));
    }
    assert_eq!(Encoding::detect(&[]), Err(Error::UnknownEncoding { first: None }));
}

#[test]
fn trailing_bytes_are_refused_in_both_encodings() {
    let request = DrainRequest { deadline_ms: Some(7) };
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let mut bytes = encode(encoding, &request).unwrap();
        assert_eq!(decode::<DrainRequest>(&bytes).unwrap(), (request.clone(), encoding));
        for trailing in [b'0', b'}', 0xc1, 0xdc, 0xc0, 0x80] {
            bytes.push(trailing);
            assert!(decode::<DrainRequest>(&bytes).is_err(), "{encoding} {trailing:#x}");
            bytes.pop();
        }
    }
}

#[test]
fn white_space_around_json_is_no_trailing_byte() {
    assert!(decode::<DrainRequest>(b" {} \n").is_ok());
}

#[test]
fn unknown_fields_of_a_request_are_refused_by_name() {
    let error = decode::<DrainRequest>(b"{\"deadline\": 5}").unwrap_err();
    assert!(error.to_string().contains("unknown field `deadline`, expected `deadline_ms`"), "{error}");
}

#[test]
fn a_document_over_the_limit_is_refused_with_the_limit() {
    let payload = vec![b' '; limits::DOCUMENT_BYTES_MAX + 1];
    let error = decode::<DrainRequest>(&payload).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert!(error.to_string().contains("4194304"), "{error}");
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let json = [b"{\"a\":".as_slice(), &b"[".repeat(1_000_000)].concat();
    assert!(decode::<IgnoredAny>(&json).is_err());
    let messagepack = [b"\x81\xa1a".as_slice(), &b"\x91".repeat(1_000_000)].concat();
    assert!(decode::<IgnoredAny>(&messagepack).is_err());
    assert!(decode::<serde_json::Value>(&messagepack).is_err());
}

#[test]
fn messages_nest_as_deep_as_published() {
    let messagepack =
        |levels: usize| [b"\x81\xa1a".as_slice(), &b"\x91".repeat(levels - 2), b"\x80"].concat();
    let json = |levels: usize| {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!("{{\"a\":{open}{close}}}").into_bytes()
    };
    for (deepest, too_deep) in [(messagepack(32), messagepack(33)), (json(127), json(128))] {
        decode::<IgnoredAny>(&deepest).unwrap();
        decode::<serde_json::Value>(&deepest).unwrap();
        assert!(decode::<serde_json::Value>(&too_deep).is_err());
    }
}

#[test]
fn a_claimed_length_reserves_nothing() {
    // An array, a text and a byte string that claim four gigabytes.
    for claim in [b"\xdd\xff\xff\xff\xff".as_slice(), b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"] {
        let label = [b"\x81\xa5label".as_slice(), claim].concat();
        assert!(decode::<Label>(&label).is_err());
        assert!(decode::<serde_json::Value>(&label).is_err());
    }
}

#[test]
fn doubles_survive_json_exactly() {
    for value in [0.1, 1e-300, 2.225_073_858_507_201e-308, 9_007_199_254_740_993.0, 0.489_443_597_823_743_2] {
        let bytes = serde_json::to_vec(&value).unwrap();
        assert_eq!(serde_json::from_slice::<f64>(&bytes).unwrap().to_bits(), f64::to_bits(value));
    }
}

#[test]
fn scalars_are_plain_values_in_both_encodings() {
    let scalars =
        [Scalar::Bool(true), Scalar::Integer(-3), Scalar::Number(0.5), Scalar::Text("pro".to_owned())];
    for scalar in scalars {
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let map = std::collections::BTreeMap::from([("value".to_owned(), scalar.clone())]);
            let bytes = encode(encoding, &map).unwrap();
            assert_eq!(decode::<std::collections::BTreeMap<String, Scalar>>(&bytes).unwrap().0, map);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Label>(&bytes);
        let _ = decode::<crate::JobMessage>(&bytes);
        let _ = decode::<crate::JobStatus>(&bytes);
        let _ = decode::<crate::WorkerTelemetry>(&bytes);
        let _ = decode::<crate::Deployment>(&bytes);
    }
}
