use leat_model::{Activation, Mask, Tensor};
use ndarray::{Array2, array};
use serde::Deserialize;

use super::*;
use crate::fixtures::{assert_close, network, read, rows};
use crate::{EarlyStopping, Optimiser};

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|label| label.to_string()).collect()
}

fn classes(rows: Array2<f32>, indices: Vec<usize>, count: usize) -> Dataset {
    let features = labels(rows.ncols());
    Dataset {
        has_missing: rows.iter().any(|value| value.is_nan()),
        features,
        rows,
        target: Target::Classes { labels: labels(count), indices },
        target_name: "y".into(),
    }
}

/// Two classes that a line divides, with a missing value every tenth row.
fn divisible(count: usize) -> Dataset {
    let mut random = Random::new(9, Purpose::Initialisation);
    let mut rows = Array2::from_shape_fn((count, 3), |_| random.symmetric(3.0));
    let indices = rows.rows().into_iter().map(|row| usize::from(row[0] + row[1] > 0.3)).collect();
    rows.column_mut(2).iter_mut().step_by(10).for_each(|value| *value = f32::NAN);
    classes(rows, indices, 2)
}

fn line(count: usize) -> Dataset {
    let rows = Array2::from_shape_fn((count, 1), |(row, _)| row as f32);
    let values = rows.mapv(|x| 500.0 * x - 3_000.0);
    let target = Target::Values(values);
    Dataset { features: vec!["x".into()], rows, target, target_name: "y".into(), has_missing: false }
}

fn recipe(task: Task) -> Recipe {
    Recipe { hidden: vec![8], epochs: 12, ..Recipe::for_task(task) }
}

fn stopping(patience: u32) -> Option<EarlyStopping> {
    Some(EarlyStopping { patience, min_delta: 0.0, validation_ratio: 0.2 })
}

fn finish(mut fit: Fit) -> Trained {
    while !fit.finished() {
        fit.epoch().unwrap();
    }
    fit.finish()
}

#[derive(Deserialize)]
struct Trajectory {
    optimiser: String,
    parameters: Vec<f32>,
    inputs: Vec<f32>,
    truth: Vec<usize>,
    losses: Vec<f64>,
    steps: Vec<Vec<f32>>,
}

#[test]
fn five_steps_of_every_optimiser_are_those_of_pytorch() {
    let cases: Vec<Trajectory> = read(include_str!("../../tests/fixtures/trajectories.json"));
    assert_eq!(cases.len(), 4);
    for case in cases {
        let (optimiser, learning_rate) = match case.optimiser.as_str() {
            "sgd" => (Optimiser::Sgd { momentum: 0.0 }, 0.1),
            "sgd_momentum" => (Optimiser::Sgd { momentum: 0.9 }, 0.1),
            "adam" => (Optimiser::Adam, 0.05),
            _ => (Optimiser::AdamW { weight_decay: 0.1 }, 0.05),
        };
        let recipe =
            Recipe { optimiser, learning_rate, batch: BatchSize::Full, ..recipe(Task::Classification) };
        let data = classes(rows(&case.inputs, 3), case.truth, 3);
        let start = network(Activation::Tanh, &case.parameters).to_network(&[]);
        let mut fit = Fit::continue_from(&start, &Preprocessing::default(), &data, &recipe).unwrap();
        for (loss, parameters) in case.losses.iter().zip(&case.steps) {
            let report = fit.epoch().unwrap();
            assert!((report.train_loss - loss).abs() < 5e-6, "{}", case.optimiser);
            assert_close(&fit.parameters.values, parameters, 2e-5);
        }
    }
}

#[test]
fn resumed_training_gives_the_same_bytes_as_uninterrupted_training() {
    let data = divisible(120);
    for (optimiser, early_stopping) in [
        (Optimiser::AdamW { weight_decay: 0.01 }, stopping(3)),
        (Optimiser::Sgd { momentum: 0.9 }, None),
        (Optimiser::Sgd { momentum: 0.0 }, None),
    ] {
        let recipe = Recipe { optimiser, early_stopping, ..recipe(Task::Classification) };
        let whole = finish(Fit::new(&data, &recipe).unwrap());
        for interruption in [0, 1, 7] {
            let mut fit = Fit::new(&data, &recipe).unwrap();
            (0..interruption).for_each(|_| assert!(fit.epoch().unwrap().train_loss.is_finite()));
            let bytes = fit.checkpoint().encode().unwrap();
            let checkpoint = Checkpoint::decode(&bytes).unwrap();
            assert_eq!(checkpoint.epoch(), interruption);
            assert_eq!(finish(Fit::resume(&data, &recipe, &checkpoint).unwrap()), whole);
        }
    }
}

#[test]
fn further_training_and_distillation_can_be_resumed_but_not_mixed_up() {
    let data = divisible(60);
    let recipe = recipe(Task::Classification);
    let base = finish(Fit::new(&data, &recipe).unwrap());
    let teacher = Teacher { outputs: Array2::zeros((60, 2)), temperature: 2.0, alpha: 0.5 };
    let tune = || Fit::continue_from(&base.network, &base.preprocessing, &data, &recipe).unwrap();
    let distil = || Fit::distil(&data, &recipe, &teacher).unwrap();
    for start in [&tune as &dyn Fn() -> Fit, &distil] {
        let mut fit = start();
        (0..4).for_each(|_| assert!(fit.epoch().is_ok()));
        let checkpoint = fit.checkpoint();
        assert_eq!(finish(start().restore(&checkpoint).unwrap()), finish(start()));
        assert!(matches!(Fit::resume(&data, &recipe, &checkpoint), Err(Error::Checkpoint(_))));
    }
}

#[test]
fn a_checkpoint_of_another_job_or_with_damage_is_refused() {
    let (data, recipe) = (divisible(60), recipe(Task::Classification));
    let mut fit = Fit::new(&data, &recipe).unwrap();
    fit.epoch().unwrap();
    let checkpoint = fit.checkpoint();
    let refused = |data: &Dataset, recipe: &Recipe, checkpoint: &Checkpoint| {
        matches!(Fit::resume(data, recipe, checkpoint), Err(Error::Checkpoint(_)))
    };
    assert!(!refused(&data, &recipe, &checkpoint));
    assert!(refused(&divisible(61), &recipe, &checkpoint));
    assert!(refused(&data, &Recipe { seed: 1, ..recipe.clone() }, &checkpoint));
    let mut short = checkpoint.clone();
    short.parameters.pop();
    assert!(refused(&data, &recipe, &short));
    let mut poisoned = checkpoint.clone();
    poisoned.parameters[0] = f32::NAN;
    assert!(refused(&data, &recipe, &poisoned));
    let mut late = checkpoint.clone();
    late.epoch = 13;
    assert!(refused(&data, &recipe, &late));
    let mut bytes = checkpoint.encode().unwrap();
    bytes.push(0);
    assert!(Checkpoint::decode(&bytes).is_err());
    for length in 0..bytes.len() - 1 {
        assert!(Checkpoint::decode(&bytes[..length]).is_err());
    }
}

#[test]
fn early_stopping_gives_the_weights_of_the_best_epoch() {
    let data = divisible(80);
    let recipe = Recipe {
        learning_rate: 0.05,
        epochs: 500,
        early_stopping: stopping(4),
        ..recipe(Task::Classification)
    };
    let mut fit = Fit::new(&data, &recipe).unwrap();
    let mut best = (f64::INFINITY, 0, Vec::new());
    while !fit.finished() {
        let report = fit.epoch().unwrap();
        let loss = report.validation_loss.unwrap();
        assert_eq!(report.improved, loss < best.0);
        if report.improved {
            best = (loss, report.epoch, fit.parameters.values.clone());
        }
    }
    assert!(matches!(fit.epoch(), Err(Error::Finished { .. })));
    let trained = fit.finish();
    assert!(trained.report.stopped_early);
    assert_eq!(trained.report.epochs, best.1 + 4);
    assert_eq!(trained.report.best_epoch, best.1);
    assert_eq!(trained.report.train_rows, 64);
    assert_eq!(Parameters::of_network(&trained.network).unwrap().values, best.2);
}

#[test]
fn divergence_is_an_error_that_names_the_epoch() {
    let optimiser = Optimiser::Sgd { momentum: 0.9 };
    let recipe =
        Recipe { optimiser, learning_rate: 1e20, standardise_target: false, ..recipe(Task::Regression) };
    let mut fit = Fit::new(&line(50), &recipe).unwrap();
    let error = loop {
        match fit.epoch() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Diverged { epoch: 1.., .. }), "{error}");
}

#[test]
fn a_regression_network_answers_in_the_unit_of_the_data() {
    let recipe = Recipe { hidden: vec![], epochs: 300, learning_rate: 0.05, ..recipe(Task::Regression) };
    let recipe = Recipe { optimiser: Optimiser::Adam, ..recipe };
    let trained = finish(Fit::new(&line(20), &recipe).unwrap());
    let standardise = trained.preprocessing.standardise.unwrap();
    let layer = &trained.network.layers[0];
    let slope = layer.weights.to_f32()[0] / standardise.scale[0];
    let intercept = layer.bias[0] - slope * standardise.mean[0];
    assert!((slope - 500.0).abs() < 5.0 && (intercept + 3_000.0).abs() < 50.0, "{slope} {intercept}");
}

#[test]
fn weights_stay_inside_the_clip_after_every_step() {
    let recipe = Recipe { weight_clip: Some(0.05), ..recipe(Task::Classification) };
    let trained = finish(Fit::new(&divisible(60), &recipe).unwrap());
    for layer in &trained.network.layers {
        assert!(layer.weights.to_f32().iter().all(|weight| weight.abs() <= 0.05));
    }
}

#[test]
fn pruned_weights_and_their_moments_stay_zero() {
    let data = divisible(100);
    let recipe = recipe(Task::Classification);
    let trained = finish(Fit::new(&data, &recipe).unwrap());
    let mut network = trained.network;
    let mut mask = Mask::filled(network.layers[0].weights.len());
    (0..mask.len).step_by(3).for_each(|index| mask.set(index, false));
    network.layers[0].mask = Some(mask.clone());
    for optimiser in [Optimiser::Sgd { momentum: 0.9 }, Optimiser::AdamW { weight_decay: 0.1 }] {
        let recipe = Recipe { optimiser, ..recipe.clone() };
        let mut fit = Fit::continue_from(&network, &trained.preprocessing, &data, &recipe).unwrap();
        while !fit.finished() {
            fit.epoch().unwrap();
        }
        let moments = &fit.progress.moments;
        for &position in &fit.frozen {
            assert!(moments.first[position] == 0.0 && moments.second.get(position).is_none_or(|v| *v == 0.0));
        }
        let tuned = fit.finish().network;
        assert_eq!(tuned.layers[0].mask.as_ref(), Some(&mask));
        assert_eq!(Mask::from_values(&tuned.layers[0].weights.to_f32()), mask);
        assert_ne!(tuned, network);
    }
}

#[test]
fn fine_tuning_starts_from_encoded_weights_and_drops_input_quantization() {
    let data = line(30);
    let recipe = recipe(Task::Regression);
    let trained = finish(Fit::new(&data, &recipe).unwrap());
    let mut network = trained.network.clone();
    let weights = &mut network.layers[0].weights;
    *weights = Tensor::sparse_from(weights.shape.clone(), &weights.to_f32());
    network.layers[0].input_quantization =
        Some(leat_model::ActivationQuantization { scale: 0.1, zero_point: 3 });
    let fit = Fit::continue_from(&network, &trained.preprocessing, &data, &recipe).unwrap();
    let untouched = fit.finish().network;
    assert_eq!(untouched.layers[0].input_quantization, None);
    assert_close(&untouched.layers[0].weights.to_f32(), &trained.network.layers[0].weights.to_f32(), 1e-6);
    assert_close(&untouched.layers[1].bias, &trained.network.layers[1].bias, 1e-4);
}

#[test]
fn a_student_learns_what_its_teacher_says_rather_than_the_truth() {
    let data = divisible(200);
    let Target::Classes { indices, .. } = &data.target else { panic!("these are classes") };
    let outputs =
        Array2::from_shape_fn((200, 2), |(row, class)| if indices[row] == class { -5.0 } else { 5.0 });
    let recipe = Recipe { epochs: 40, ..recipe(Task::Classification) };
    let mut teacher = Teacher { outputs, temperature: 2.0, alpha: 1.0 };
    let mut fit = Fit::distil(&data, &recipe, &teacher).unwrap();
    while !fit.finished() {
        fit.epoch().unwrap();
    }
    let against_truth = Objective { soft: None, ..fit.objective.clone() };
    let all: Vec<usize> = (0..200).collect();
    let loss = fit.workspace.loss(&fit.parameters, &against_truth, &fit.inputs, &all);
    assert!(loss > 1.0, "the teacher contradicts the truth, so the loss against it should be high: {loss}");
    teacher.alpha = 1.5;
    assert!(matches!(Fit::distil(&data, &recipe, &teacher), Err(Error::Recipe { setting: "alpha", .. })));
    teacher = Teacher { outputs: array![[1.0, 2.0]], temperature: 2.0, alpha: 0.5 };
    assert!(matches!(Fit::distil(&data, &recipe, &teacher), Err(Error::Mismatch(_))));
}

#[test]
fn what_does_not_fit_is_refused_before_training() {
    let recipe = Recipe { loss: Loss::CrossEntropy, ..recipe(Task::Regression) };
    assert!(matches!(Fit::new(&line(10), &recipe), Err(Error::Recipe { setting: "loss", .. })));
    let mut ragged = divisible(10);
    ragged.features.pop();
    assert!(matches!(Fit::new(&ragged, &Recipe::for_task(Task::Classification)), Err(Error::Data(_))));
    let recipe = Recipe::for_task(Task::Classification);
    let trained = finish(Fit::new(&divisible(30), &recipe).unwrap());
    let other = classes(array![[1.0], [2.0]], vec![0, 1], 2);
    let error = Fit::continue_from(&trained.network, &trained.preprocessing, &other, &recipe).unwrap_err();
    assert!(matches!(error, Error::Mismatch(_)), "{error}");
}

#[test]
fn the_order_of_rows_differs_between_epochs_and_seeds_only() {
    let data = divisible(64);
    let losses = |seed| {
        let recipe = Recipe { seed, ..recipe(Task::Classification) };
        let mut fit = Fit::new(&data, &recipe).unwrap();
        [fit.epoch().unwrap().train_loss, fit.epoch().unwrap().train_loss]
    };
    assert_eq!(losses(1), losses(1));
    assert_ne!(losses(1), losses(2));
}
