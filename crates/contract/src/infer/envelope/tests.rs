use super::*;
use crate::{ErrorCode, InferRequest, Tensor, TensorData};

fn request(parameters: &[(&str, Scalar)]) -> InferRequest {
    let tensor = Tensor::new("input", vec![1, 2], TensorData::Fp32(vec![1.0, 2.0])).unwrap();
    let mut request = InferRequest::tensors(vec![tensor]);
    request.deadline_ms = Some(250);
    request.parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    request
}

fn urgent() -> InferRequest {
    request(&[
        ("other", Scalar::Bool(true)),
        (PRIORITY, Scalar::Integer(1)),
        (STICKY_KEY, Scalar::Text("user-7".to_owned())),
        (TIMEOUT, Scalar::Integer(1500)),
    ])
}

#[test]
fn peeking_finds_what_reading_finds_in_both_encodings() {
    let whole = urgent().envelope().unwrap();
    assert_eq!(
        (whole.deadline_ms, whole.priority, whole.queue_timeout_us),
        (Some(250), Priority::High, Some(1500))
    );
    assert_eq!(whole.sticky_key.as_deref(), Some("user-7"));
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        assert_eq!(Envelope::peek(&urgent().encode(encoding).unwrap()), whole);
    }
}

#[test]
fn what_stands_behind_the_data_is_found_unless_that_is_far_from_the_end_of_large_data() {
    let behind = |rows: usize| {
        let row = "[1,2],".repeat(rows);
        format!(r#"{{"instances":[{row}[1,2]],"deadline_ms":7}}"#)
    };
    assert_eq!(Envelope::peek(behind(1).as_bytes()).deadline_ms, Some(7));
    assert_eq!(Envelope::peek(behind(20_000).as_bytes()).deadline_ms, Some(7));
    let parameters = |note: usize| {
        let note = "x".repeat(note);
        let row = "[1,2],".repeat(20_000);
        format!(
            r#"{{"instances":[{row}[1,2]],"parameters":{{"priority":1,"sticky_key":"user-7","note":"{note}"}}}}"#
        )
    };
    let found = Envelope::peek(parameters(10).as_bytes());
    assert_eq!((found.priority, found.sticky_key.as_deref()), (Priority::High, Some("user-7")));
    assert_eq!(Envelope::peek(parameters(20_000).as_bytes()), Envelope::default());
    let before = parameters(20_000).replacen('{', r#"{"deadline_ms":9,"#, 1);
    assert_eq!(Envelope::peek(before.as_bytes()).deadline_ms, Some(9));
}

#[test]
fn what_cannot_be_read_counts_as_absent() {
    for payload in [
        &b""[..],
        b"parameters",
        br#"{"deadline_ms":"soon"}"#,
        br#"{"parameters":7}"#,
        br#"{"deadline_ms":0}"#,
        br#"{"deadline_ms":3600001}"#,
        br#"{"parameters":{"priority":"high","timeout":-1}}"#,
        b"\x81\xaadeadline_ms",
    ] {
        assert_eq!(Envelope::peek(payload), Envelope::default(), "{}", String::from_utf8_lossy(payload));
    }
    let broken_behind = Envelope::peek(br#"{"deadline_ms":5,"instances":[[1,"#);
    assert_eq!(broken_behind.deadline_ms, Some(5));
}

#[test]
fn a_parameter_that_means_nothing_is_refused_by_name_when_the_request_is_read() {
    for (name, value) in [
        (PRIORITY, Scalar::Text("high".to_owned())),
        (TIMEOUT, Scalar::Integer(-1)),
        (PRIORITY, Scalar::Number(0.5)),
    ] {
        let error = request(&[(name, value)]).envelope().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn one_is_the_most_urgent_and_zero_is_the_default() {
    let levels = [0, 1, 2, 3, 900].map(Priority::from_level);
    let [normal, high, low] = [Priority::Normal, Priority::High, Priority::Low];
    assert_eq!(levels, [normal, high, normal, low, low]);
    assert!(high < normal && normal < low);
    let no_timeout = request(&[(TIMEOUT, Scalar::Integer(0))]).envelope().unwrap();
    assert_eq!(no_timeout.queue_timeout_us, None);
}
