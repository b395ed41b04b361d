use super::*;

#[test]
fn model_names_are_lower_case_tokens_of_63_characters() {
    for good in ["a", "digits", "0", "credit-risk_2", &"x".repeat(63)] {
        assert_eq!(ModelName::new(good).unwrap().as_str(), good);
    }
    for bad in ["", "-a", "_a", "Digits", "a.b", "a b", "a*", "a>", "é", "a\n", &"x".repeat(64)] {
        assert!(ModelName::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn an_alias_cannot_be_mistaken_for_a_version() {
    assert!(AliasName::new("3").is_err());
    assert!(AliasName::new("production").is_ok());
}

#[test]
fn request_ids_are_1_to_128_visible_ascii_characters() {
    assert!(RequestId::new("order/17:~!\"").is_ok());
    assert!(RequestId::new("x".repeat(128)).is_ok());
    for bad in ["", " ", "a b", "a\tb", "ü", "\u{7f}", &"x".repeat(129)] {
        assert!(RequestId::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn digests_are_64_lower_case_hexadecimal_digits() {
    let hex = "0123456789abcdef".repeat(4);
    assert!(Digest::new(format!("sha256-{hex}")).is_ok());
    for bad in [
        hex.clone(),
        format!("sha256-{}", hex.to_uppercase()),
        format!("sha256-{hex}0"),
        format!("sha512-{hex}"),
    ] {
        assert!(Digest::new(bad).is_err());
    }
}

#[test]
fn a_refusal_names_the_value_but_not_all_of_a_long_one() {
    let error = ModelName::new("Q".repeat(10_000)).unwrap_err();
    assert!(error.to_string().contains("invalid model name \"QQQ"));
    assert!(error.to_string().len() < 250);
}

#[test]
fn ids_are_plain_strings_in_json_and_checked_when_read() {
    let job = JobId::new("job-7").unwrap();
    assert_eq!(serde_json::to_string(&job).unwrap(), "\"job-7\"");
    assert_eq!(serde_json::from_str::<JobId>("\"job-7\"").unwrap(), job);
    assert!(serde_json::from_str::<JobId>("\"job.7\"").is_err());
}
