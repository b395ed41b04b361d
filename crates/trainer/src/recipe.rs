//! From the words of the contract to those of training.

use leat_contract::{self as contract, ErrorCode, TrainSpec};
use leat_model::{Activation, Task};
use leat_service_runtime::jobs::Failure;
use leat_training::{BatchSize, EarlyStopping, Loss, Optimiser, Recipe};

/// The recipe of a job for a target of this task.
///
/// # Errors
/// When a setting belongs to another optimiser: it would have no effect.
pub(crate) fn recipe(spec: &TrainSpec, task: Task) -> Result<Recipe, Failure> {
    let defaults = Recipe::for_task(task);
    Ok(Recipe {
        hidden: spec.hidden.iter().map(|&units| units as usize).collect(),
        activation: activation(spec.activation),
        loss: spec.loss.map_or(defaults.loss, loss),
        optimiser: optimiser(spec, &defaults)?,
        learning_rate: spec.learning_rate,
        batch: spec.batch_size.map_or(BatchSize::Full, |rows| BatchSize::Mini(rows as usize)),
        epochs: spec.epochs,
        early_stopping: spec.early_stopping.as_ref().map(early_stopping),
        seed: spec.seed,
        standardise: spec.standardise,
        standardise_target: spec.standardise_target && task == Task::Regression,
        weight_clip: spec.weight_clip,
    })
}

/// The task that the job asks for, if it does.
pub(crate) fn task(task: contract::Task) -> Task {
    match task {
        contract::Task::Regression => Task::Regression,
        contract::Task::Classification => Task::Classification,
    }
}

fn activation(activation: contract::Activation) -> Activation {
    match activation {
        contract::Activation::Identity => Activation::Identity,
        contract::Activation::Relu => Activation::Relu,
        contract::Activation::Tanh => Activation::Tanh,
        contract::Activation::Sigmoid => Activation::Sigmoid,
        contract::Activation::Gelu => Activation::Gelu,
    }
}

fn loss(loss: contract::Loss) -> Loss {
    match loss {
        contract::Loss::Mse => Loss::Mse,
        contract::Loss::CrossEntropy => Loss::CrossEntropy,
    }
}

fn optimiser(spec: &TrainSpec, defaults: &Recipe) -> Result<Optimiser, Failure> {
    let has_no_effect = |setting: &str, only: &str| {
        let message = format!("{setting} is set, but only the optimiser {only} has it");
        Err(Failure::refused(ErrorCode::InvalidArgument, message))
    };
    match (spec.optimiser, spec.momentum, spec.weight_decay) {
        (contract::Optimiser::Adam | contract::Optimiser::AdamW, Some(_), _) => {
            has_no_effect("momentum", "sgd")
        }
        (contract::Optimiser::Adam | contract::Optimiser::Sgd, _, Some(_)) => {
            has_no_effect("weight_decay", "adam_w")
        }
        (contract::Optimiser::Sgd, momentum, None) => {
            Ok(Optimiser::Sgd { momentum: momentum.unwrap_or(0.0) })
        }
        (contract::Optimiser::Adam, None, None) => Ok(Optimiser::Adam),
        (contract::Optimiser::AdamW, None, Some(weight_decay)) => Ok(Optimiser::AdamW { weight_decay }),
        (contract::Optimiser::AdamW, None, None) => Ok(defaults.optimiser),
    }
}

fn early_stopping(rule: &contract::EarlyStopping) -> EarlyStopping {
    EarlyStopping {
        patience: rule.patience,
        min_delta: rule.min_delta,
        validation_ratio: rule.validation_ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(changes: &str) -> TrainSpec {
        let digest = format!("sha256-{}", "0".repeat(64));
        let text = format!(
            r#"{{"model": "digits", "dataset": {{"digest": "{digest}", "name": "digits.csv"}}, "target": "digit",
                "hidden": [32, 16], "learning_rate": 0.001, "epochs": 5, "held_out_ratio": 0.2, "seed": 7 {changes}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_plain_job_gets_the_loss_of_its_task() {
        let recipe = recipe(&spec(""), Task::Classification).unwrap();
        assert_eq!((recipe.loss, recipe.optimiser), (Loss::CrossEntropy, Optimiser::Adam));
        assert_eq!((recipe.batch, recipe.hidden.as_slice()), (BatchSize::Full, [32, 16].as_slice()));
        assert!(!recipe.standardise_target, "classes have no scale");
        recipe.validate().unwrap();
    }

    #[test]
    fn every_setting_arrives() {
        let changes = r#", "activation": "gelu", "loss": "mse", "optimiser": "adam_w", "weight_decay": 0.1,
            "batch_size": 8, "weight_clip": 2.0,
            "early_stopping": {"patience": 3, "min_delta": 0.5, "validation_ratio": 0.25}"#;
        let recipe = recipe(&spec(changes), Task::Regression).unwrap();
        let rule = EarlyStopping { patience: 3, min_delta: 0.5, validation_ratio: 0.25 };
        assert_eq!((recipe.activation, recipe.early_stopping), (Activation::Gelu, Some(rule)));
        assert_eq!(recipe.optimiser, Optimiser::AdamW { weight_decay: 0.1 });
        assert_eq!((recipe.batch, recipe.weight_clip), (BatchSize::Mini(8), Some(2.0)));
        assert!(recipe.standardise && recipe.standardise_target);
    }

    #[test]
    fn a_setting_of_another_optimiser_is_refused() {
        for changes in [r#", "momentum": 0.9"#, r#", "optimiser": "sgd", "weight_decay": 0.1"#] {
            let Err(Failure::Refused(detail)) = recipe(&spec(changes), Task::Regression) else {
                panic!("{changes} is accepted")
            };
            assert!(detail.message.contains("only the optimiser"), "{}", detail.message);
        }
    }
}
