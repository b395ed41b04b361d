use super::*;
use crate::ErrorCode;

fn train() -> TrainSpec {
    serde_json::from_value(serde_json::json!({
        "model": "digits",
        "dataset": { "digest": format!("sha256-{}", "0".repeat(64)), "name": "digits.csv" },
        "target": "label",
        "hidden": [64],
        "learning_rate": 0.001,
        "epochs": 10,
        "held_out_ratio": 0.2,
        "seed": 7
    }))
    .unwrap()
}

#[test]
fn a_short_training_job_has_sensible_defaults() {
    let spec = train();
    assert_eq!((spec.activation, spec.optimiser), (Activation::Relu, Optimiser::Adam));
    assert_eq!((spec.task, spec.loss, spec.batch_size), (None, None, None));
    assert!(spec.standardise && spec.standardise_target);
    assert!(spec.validate().is_ok());
}

#[test]
fn numbers_out_of_range_are_refused_by_field_and_value() {
    let refused = |change: fn(&mut TrainSpec)| {
        let mut spec = train();
        change(&mut spec);
        spec.validate().unwrap_err().to_string()
    };
    assert_eq!(
        refused(|spec| spec.learning_rate = 0.0),
        "invalid learning_rate: 0 is not a finite number above 0"
    );
    assert!(refused(|spec| spec.learning_rate = f64::NAN).contains("NaN"));
    assert!(refused(|spec| spec.held_out_ratio = 1.0).contains("held_out_ratio"));
    assert!(refused(|spec| spec.epochs = 0).contains("epochs"));
    assert!(refused(|spec| spec.batch_size = Some(0)).contains("batch_size"));
    assert!(refused(|spec| spec.momentum = Some(1.0)).contains("momentum"));
    assert!(refused(|spec| spec.weight_decay = Some(-1.0)).contains("weight_decay"));
    assert!(refused(|spec| spec.weight_clip = Some(0.0)).contains("weight_clip"));
    assert!(refused(|spec| spec.target.clear()).contains("target"));
    assert!(refused(|spec| spec.hidden = vec![0]).contains("hidden"));
    assert!(refused(|spec| spec.hidden = vec![1; 17]).contains("the limit is 16"));
    assert!(refused(|spec| spec.hidden = vec![16_385]).contains("the limit is 16384"));
    assert!(refused(|spec| spec.batch_size = Some(65_537)).contains("the limit is 65536"));
    assert!(refused(|spec| spec.epochs = 1_000_001).contains("the limit is 1000000"));
}

#[test]
fn a_misspelt_field_of_a_job_is_an_error() {
    let mut json = serde_json::to_value(JobSpec::Train(train())).unwrap();
    assert_eq!(json["kind"], "train");
    assert!(serde_json::from_value::<JobSpec>(json.clone()).is_ok());
    json["learning_rat"] = 0.1.into();
    assert!(serde_json::from_value::<JobSpec>(json).is_err());
}

#[test]
fn steps_read_as_people_write_them() {
    let steps = r#"[
        {"clip": {"epsilon": 0.5}},
        {"quantize": {"int8": {"per_channel": true, "calibration": {"percentile": 99.9}}}},
        {"quantize": {"int8": {}}},
        {"quantize": {"q": 127.0}},
        {"prune": {"threshold": 0.01}},
        {"prune": {"rate": {"rate": 0.5, "scope": "per_layer"}}},
        {"prune": {"l1_neurons": {"rate": 0.25}}},
        {"distil": {"hidden": [16], "temperature": 4.0, "alpha": 0.9, "epochs": 20}}
    ]"#;
    let steps: Vec<CompressStep> = serde_json::from_str(steps).unwrap();
    let quantize =
        Quantize::Int8 { calibration: Calibration::Percentile(99.9), per_channel: true, reduce_range: true };
    assert_eq!(steps[1], CompressStep::Quantize(quantize));
    let spec = |steps| CompressSpec {
        model: ModelName::new("digits").unwrap(),
        version: crate::ModelVersion::FIRST,
        steps,
        dataset: None,
        seed: 0,
    };
    assert!(spec(steps.clone()).validate().is_ok());
    assert!(spec(Vec::new()).validate().is_err());
    let too_many = spec(steps.into_iter().cycle().take(33).collect()).validate().unwrap_err();
    assert_eq!(too_many.code(), ErrorCode::TooLarge);
    for bad in [
        CompressStep::Clip { mode: ClipMode::Literal, epsilon: f32::INFINITY },
        CompressStep::Quantize(Quantize::Q(0.0)),
        CompressStep::Quantize(Quantize::Int8 {
            calibration: Calibration::Percentile(50.0),
            per_channel: false,
            reduce_range: false,
        }),
        CompressStep::Prune(Prune::Threshold(-0.1)),
        CompressStep::Quantize(Quantize::Q(1e-39)),
        CompressStep::Quantize(Quantize::Q(3e-37)),
        CompressStep::Prune(Prune::Rate { rate: 1.0, scope: PruneScope::Global }),
        CompressStep::Prune(Prune::Rate { rate: 0.0, scope: PruneScope::Global }),
        CompressStep::Prune(Prune::Blocks { rate: 1.0, scope: PruneScope::Global }),
        CompressStep::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 10_001 }),
        CompressStep::FineTune { epochs: 0 },
        CompressStep::FineTune { epochs: 10_001 },
        CompressStep::Distil { hidden: vec![16], temperature: 0.0, alpha: 0.5, epochs: 1 },
        CompressStep::Distil { hidden: vec![16], temperature: 1.0, alpha: 1.5, epochs: 1 },
    ] {
        assert!(spec(vec![bad.clone()]).validate().is_err(), "{bad:?}");
    }
}

#[test]
fn a_misspelt_option_of_a_step_is_an_error() {
    assert!(serde_json::from_str::<CompressStep>(r#"{"clip": {"epsilon": 0.5, "mod": "clamp"}}"#).is_err());
    assert!(serde_json::from_str::<CompressStep>(r#"{"quantize": {"int8": {"per_chanel": true}}}"#).is_err());
}
