use super::*;

fn all_kinds() -> Vec<(Step, &'static str)> {
    vec![
        (
            Step::Clip { epsilon: 0.1, mode: ClipMode::Literal },
            r#"{"clip":{"epsilon":0.1,"mode":"literal"}}"#,
        ),
        (Step::Quantize(Quantize::Q(64.0)), r#"{"quantize":{"q":64.0}}"#),
        (
            Step::Quantize(Quantize::Int8 {
                calibration: Calibration::Percentile(99.9),
                per_channel: true,
                reduce_range: true,
            }),
            r#"{"quantize":{"int8":{"calibration":{"percentile":99.9},"per_channel":true,"reduce_range":true}}}"#,
        ),
        (Step::Prune(Prune::Threshold(0.05)), r#"{"prune":{"threshold":0.05}}"#),
        (
            Step::Prune(Prune::Rate { rate: 0.9, scope: Scope::PerLayer }),
            r#"{"prune":{"rate":{"rate":0.9,"scope":"per_layer"}}}"#,
        ),
        (
            Step::Prune(Prune::Blocks { rate: 0.9, scope: Scope::Global }),
            r#"{"prune":{"blocks":{"rate":0.9,"scope":"global"}}}"#,
        ),
        (
            Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 30 }),
            r#"{"prune":{"l1_neurons":{"fine_tune_epochs":30,"rate":0.5}}}"#,
        ),
        (Step::FineTune { epochs: 3 }, r#"{"fine_tune":{"epochs":3}}"#),
        (
            Step::Distil { alpha: 0.9, epochs: 5, hidden: vec![16], temperature: 4.0 },
            r#"{"distil":{"alpha":0.9,"epochs":5,"hidden":[16],"temperature":4.0}}"#,
        ),
    ]
}

#[test]
fn every_step_has_one_canonical_json_form() {
    for (step, json) in all_kinds() {
        assert_eq!(step.to_json().unwrap(), json);
        assert_eq!(serde_json::from_str::<Step>(json).unwrap(), step);
        let sorted =
            serde_json::to_string(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap();
        assert_eq!(sorted, json, "keys stand in alphabetical order");
        step.validate(1).unwrap();
    }
}

#[test]
fn unknown_fields_are_refused() {
    assert!(serde_json::from_str::<Step>(r#"{"clip":{"epsilon":0.1,"mode":"clamp","more":1}}"#).is_err());
    assert!(
        serde_json::from_str::<Step>(r#"{"prune":{"rate":{"rate":0.5,"scope":"global","x":1}}}"#).is_err()
    );
}

#[test]
fn meaningless_numbers_are_refused_with_their_position() {
    let bad = [
        Step::Clip { epsilon: f32::NAN, mode: ClipMode::Clamp },
        Step::Clip { epsilon: 0.0, mode: ClipMode::Clamp },
        Step::Quantize(Quantize::Q(-1.0)),
        Step::Quantize(Quantize::Q(f32::MAX)),
        Step::Quantize(Quantize::Q(1e-37)),
        Step::Quantize(Quantize::Int8 {
            calibration: Calibration::Percentile(f64::NAN),
            per_channel: true,
            reduce_range: true,
        }),
        Step::Quantize(Quantize::Int8 {
            calibration: Calibration::Percentile(50.0),
            per_channel: true,
            reduce_range: true,
        }),
        Step::Prune(Prune::Threshold(-0.1)),
        Step::Prune(Prune::Rate { rate: 1.0, scope: Scope::Global }),
        Step::Prune(Prune::Blocks { rate: 0.0, scope: Scope::Global }),
        Step::Prune(Prune::L1Neurons { rate: f64::NAN, fine_tune_epochs: 0 }),
        Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: u32::MAX }),
        Step::FineTune { epochs: 0 },
        Step::Distil { alpha: 1.5, epochs: 5, hidden: vec![16], temperature: 4.0 },
        Step::Distil { alpha: 0.5, epochs: 5, hidden: vec![0], temperature: 4.0 },
    ];
    for step in bad {
        assert!(matches!(step.validate(3), Err(Error::InvalidStep { position: 3, .. })), "{step:?}");
    }
}
