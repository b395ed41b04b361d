//! Training on real data, from the bytes of a table to the bytes of a model.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helper functions too"
)]
use std::ops::ControlFlow;

use leat_model::{Body, Digest, Model, Task, blob};
use leat_training::{
    Assembly, BatchSize, CsvOptions, Dataset, Error, HELD_OUT_RATIO, Recipe, Split, Teacher, build_model,
    distil, evaluate, fine_tune, train,
};

const TABLE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/data/digits.csv"));

fn digits(seed: u64) -> Split {
    let options = CsvOptions { target: "digit".to_owned(), task: None };
    Dataset::from_csv(TABLE, &options).unwrap().split(HELD_OUT_RATIO, seed).unwrap()
}

fn recipe(seed: u64) -> Recipe {
    Recipe { hidden: vec![128, 64], seed, ..Recipe::for_task(Task::Classification) }
}

fn model(data: &Split, recipe: &Recipe) -> Model {
    let trained = train(&data.train, recipe, &mut |_| ControlFlow::Continue(())).unwrap();
    assemble(data, recipe, trained)
}

fn assemble(data: &Split, recipe: &Recipe, trained: leat_training::Trained) -> Model {
    let (train, held_out) = (&data.train, &data.held_out);
    let digest = Some(Digest::of(TABLE));
    let held_out_ratio = HELD_OUT_RATIO;
    build_model(Assembly { name: "digits", trained, train, held_out, recipe, held_out_ratio, data: digest })
        .unwrap()
}

fn accuracy(model: &Model) -> f64 {
    model.training.as_ref().unwrap().held_out["accuracy"]
}

#[test]
fn digits_are_learnt_and_the_model_can_be_written_and_read() {
    let data = digits(0);
    let model = model(&data, &recipe(0));
    assert!(accuracy(&model) >= 0.97, "{}", accuracy(&model));
    let report = model.training.as_ref().unwrap();
    assert_eq!((report.train_rows, report.held_out_rows), (1_438, 359));
    assert_eq!(report.held_out, evaluate(&model, &data.held_out).unwrap());
    assert_eq!(model.signature.labels, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(model.preprocessing.impute, None);
    let bytes = blob::write(&model).unwrap();
    assert_eq!(blob::read(&bytes).unwrap(), model);
}

#[test]
fn the_same_job_gives_the_same_bytes() {
    let recipe = Recipe { epochs: 5, ..recipe(3) };
    let bytes = || blob::write(&model(&digits(3), &recipe)).unwrap();
    assert_eq!(Digest::of(&bytes()), Digest::of(&bytes()));
}

#[test]
fn a_student_a_tenth_the_size_is_distilled_from_a_model() {
    let data = digits(1);
    let teacher = model(&data, &recipe(1));
    let said = Teacher::ask(&teacher, &data.train, 4.0, 0.9).unwrap();
    let small = Recipe { hidden: vec![16], ..recipe(1) };
    let trained = distil(&data.train, &small, &said, &mut |_| ControlFlow::Continue(())).unwrap();
    let student = assemble(&data, &small, trained);
    assert!(accuracy(&student) > 0.94, "{}", accuracy(&student));
}

#[test]
fn an_existing_model_is_trained_further() {
    let data = digits(2);
    let short = Recipe { epochs: 3, ..recipe(2) };
    let begun = model(&data, &short);
    let Body::Network(network) = &begun.body else { panic!("training gives a network") };
    let more = Recipe { epochs: 20, ..recipe(2) };
    let start = (network, &begun.preprocessing);
    let trained = fine_tune(start, &data.train, &more, &mut |_| ControlFlow::Continue(())).unwrap();
    let tuned = assemble(&data, &more, trained);
    assert!(accuracy(&tuned) > accuracy(&begun));
}

#[test]
fn an_observer_sees_every_epoch_and_may_stop() {
    let data = digits(0);
    let recipe = Recipe { batch: BatchSize::Full, ..recipe(0) };
    let mut seen = Vec::new();
    let outcome = train(&data.train, &recipe, &mut |report| {
        seen.push(report.epoch);
        if report.epoch == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(outcome, Err(Error::Stopped { epoch: 3 })));
    assert_eq!(seen, [1, 2, 3]);
}

#[test]
fn data_that_does_not_fit_the_model_is_refused() {
    let data = digits(0);
    let model = model(&data, &Recipe { epochs: 1, ..recipe(0) });
    let mut other = data.held_out.clone();
    other.features[3] = "elsewhere".to_owned();
    let error = evaluate(&model, &other).unwrap_err().to_string();
    assert!(error.contains("expected the feature \"pixel_0_3\", found \"elsewhere\""), "{error}");
    let mut missing = data.held_out.clone();
    missing.rows[[0, 0]] = f32::NAN;
    assert!(matches!(evaluate(&model, &missing), Err(Error::Engine(_))));
}

#[test]
fn a_value_that_is_missing_only_among_held_out_rows_is_imputed() {
    let rows = (0..40).map(|row| if row == 7 { ",7\n".to_owned() } else { format!("{row},{row}\n") });
    let csv = format!("x,y\n{}", rows.collect::<String>());
    let options = CsvOptions { target: "y".into(), task: Some(Task::Regression) };
    let data = Dataset::from_csv(csv.as_bytes(), &options).unwrap();
    let is_complete = |split: &Split| split.train.rows.iter().all(|value| value.is_finite());
    let split = (0..100).map(|seed| data.split(HELD_OUT_RATIO, seed).unwrap()).find(is_complete).unwrap();
    let recipe = Recipe { hidden: vec![4], epochs: 2, ..Recipe::for_task(Task::Regression) };
    let trained = train(&split.train, &recipe, &mut |_| ControlFlow::Continue(())).unwrap();
    let assembly = Assembly {
        name: "line",
        trained,
        train: &split.train,
        held_out: &split.held_out,
        recipe: &recipe,
        held_out_ratio: HELD_OUT_RATIO,
        data: None,
    };
    assert!(build_model(assembly).unwrap().preprocessing.impute.is_some());
}
