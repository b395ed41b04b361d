//! From the words of the contract to those of compression.

use leat_compression as compression;
use leat_compression::Step;
use leat_contract::{Calibration, ClipMode, CompressStep, Prune, PruneScope, Quantize};

/// The steps of a job.
pub(crate) fn steps(asked: &[CompressStep]) -> Vec<Step> {
    asked.iter().map(step).collect()
}

fn step(asked: &CompressStep) -> Step {
    match asked {
        CompressStep::Clip { mode, epsilon } => Step::Clip {
            epsilon: *epsilon,
            mode: match mode {
                ClipMode::Clamp => compression::ClipMode::Clamp,
                ClipMode::Literal => compression::ClipMode::Literal,
            },
        },
        CompressStep::Quantize(quantize) => Step::Quantize(match quantize {
            Quantize::Q(q) => compression::Quantize::Q(*q),
            Quantize::Int8 { calibration, per_channel, reduce_range } => compression::Quantize::Int8 {
                calibration: calibration_of(*calibration),
                per_channel: *per_channel,
                reduce_range: *reduce_range,
            },
        }),
        CompressStep::Prune(prune) => Step::Prune(match prune {
            Prune::Threshold(threshold) => compression::Prune::Threshold(*threshold),
            Prune::Rate { rate, scope } => {
                compression::Prune::Rate { rate: widened(*rate), scope: scope_of(*scope) }
            }
            Prune::Blocks { rate, scope } => {
                compression::Prune::Blocks { rate: widened(*rate), scope: scope_of(*scope) }
            }
            Prune::L1Neurons { rate, fine_tune_epochs } => {
                compression::Prune::L1Neurons { fine_tune_epochs: *fine_tune_epochs, rate: widened(*rate) }
            }
        }),
        CompressStep::FineTune { epochs } => Step::FineTune { epochs: *epochs },
        CompressStep::Distil { hidden, temperature, alpha, epochs } => Step::Distil {
            alpha: widened(*alpha),
            epochs: *epochs,
            hidden: hidden.iter().map(|&units| units as usize).collect(),
            temperature: widened(*temperature),
        },
    }
}

fn calibration_of(calibration: Calibration) -> compression::Calibration {
    match calibration {
        Calibration::MinMax => compression::Calibration::MinMax,
        Calibration::Percentile(percentile) => compression::Calibration::Percentile(percentile),
        Calibration::Mse => compression::Calibration::Mse,
    }
}

fn scope_of(scope: PruneScope) -> compression::Scope {
    match scope {
        PruneScope::Global => compression::Scope::Global,
        PruneScope::PerLayer => compression::Scope::PerLayer,
    }
}

/// The double that is written like the float: 0.1 stays 0.1 in reports and lineage.
fn widened(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_same_in_both_vocabularies() {
        let asked = r#"[{"clip": {"mode": "literal", "epsilon": 0.5}}, {"quantize": {"q": 64.0}},
            {"quantize": {"int8": {"calibration": {"percentile": 99.9}, "per_channel": false, "reduce_range": false}}},
            {"quantize": {"int8": {"calibration": "mse"}}}, {"prune": {"threshold": 0.01}},
            {"prune": {"rate": {"rate": 0.1, "scope": "per_layer"}}},
            {"prune": {"blocks": {"rate": 0.9}}},
            {"prune": {"l1_neurons": {"rate": 0.3, "fine_tune_epochs": 2}}}, {"fine_tune": {"epochs": 5}},
            {"distil": {"hidden": [8], "temperature": 4.0, "alpha": 0.9, "epochs": 3}}]"#;
        let asked: Vec<CompressStep> = serde_json::from_str(asked).unwrap();
        let json: Vec<String> = steps(&asked).iter().map(|step| step.to_json().unwrap()).collect();
        let expected = [
            r#"{"clip":{"epsilon":0.5,"mode":"literal"}}"#,
            r#"{"quantize":{"q":64.0}}"#,
            r#"{"quantize":{"int8":{"calibration":{"percentile":99.9},"per_channel":false,"reduce_range":false}}}"#,
            r#"{"quantize":{"int8":{"calibration":"mse","per_channel":true,"reduce_range":true}}}"#,
            r#"{"prune":{"threshold":0.01}}"#,
            r#"{"prune":{"rate":{"rate":0.1,"scope":"per_layer"}}}"#,
            r#"{"prune":{"blocks":{"rate":0.9,"scope":"global"}}}"#,
            r#"{"prune":{"l1_neurons":{"fine_tune_epochs":2,"rate":0.3}}}"#,
            r#"{"fine_tune":{"epochs":5}}"#,
            r#"{"distil":{"alpha":0.9,"epochs":3,"hidden":[8],"temperature":4.0}}"#,
        ];
        assert_eq!(json, expected);
    }
}
