//! Wilson intervals against those that statsmodels computes (`fixtures/wilson.py` makes the values).

use leat_statistics::wilson_interval;

#[test]
fn intervals_equal_those_of_statsmodels() {
    let document: serde_json::Value = serde_json::from_str(include_str!("fixtures/wilson.json")).unwrap();
    let cases = document["cases"].as_array().unwrap();
    assert!(cases.len() > 80);
    for case in cases {
        let number = |name: &str| case[name].as_f64().unwrap();
        let count = |name: &str| case[name].as_u64().unwrap();
        let interval = wilson_interval(count("successes"), count("trials"), number("z")).unwrap();
        let differs = |ours: f64, theirs: f64| (ours - theirs).abs() > 1e-12;
        let is_wrong = differs(interval.low, number("low")) || differs(interval.high, number("high"));
        assert!(!is_wrong, "{case} gave {interval:?}");
    }
}

#[test]
fn undefined_intervals_are_none() {
    let undefined = [(0, 0, 1.0), (2, 1, 1.0), (1, 2, f64::NAN), (1, 2, f64::INFINITY), (1, 2, -1.0)];
    for (successes, trials, z) in undefined {
        assert_eq!(wilson_interval(successes, trials, z), None, "{successes}/{trials} at {z}");
    }
}

#[test]
fn without_doubt_the_interval_is_the_ratio() {
    let interval = wilson_interval(1, 4, 0.0).unwrap();
    assert_eq!((interval.low, interval.high), (0.25, 0.25));
}
