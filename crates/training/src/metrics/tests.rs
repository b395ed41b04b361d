use ndarray::{Array2, Axis, array};
use serde::Deserialize;

use super::*;
use crate::fixtures::{read, rows};

#[derive(Deserialize)]
struct Figures {
    classification: Classification,
    regression: Regression,
}

#[derive(Deserialize)]
struct Classification {
    probabilities: Vec<f32>,
    classes: usize,
    truth: Vec<usize>,
    accuracy: f64,
    macro_f1: f64,
    log_loss: f64,
}

#[derive(Deserialize)]
struct Regression {
    actual: Vec<f32>,
    predicted: Vec<f32>,
    targets: usize,
    rmse: f64,
    mae: f64,
    r2: f64,
}

fn figures() -> Figures {
    read(include_str!("../../tests/fixtures/figures.json"))
}

#[track_caller]
fn assert_metric(metrics: &Metrics, name: &str, expected: f64) {
    let found = metrics[name];
    assert!((found - expected).abs() < 1e-6, "{name}: {found}, expected {expected}");
}

#[test]
fn classification_figures_are_those_of_scikit_learn() {
    let Classification { probabilities, classes, truth, accuracy, macro_f1, log_loss } =
        figures().classification;
    let metrics = classification(rows(&probabilities, classes).view(), &truth);
    assert_metric(&metrics, "accuracy", accuracy);
    assert_metric(&metrics, "macro_f1", macro_f1);
    assert_metric(&metrics, "log_loss", log_loss);
    let probabilities = rows(&probabilities, classes);
    let mut figures = ClassFigures::new(classes);
    for (row, &class) in probabilities.rows().into_iter().zip(&truth) {
        figures.add(row.insert_axis(Axis(0)), std::iter::once(class));
    }
    assert_eq!(figures.finish(), metrics, "row by row they are the same");
}

#[test]
fn regression_figures_are_those_of_scikit_learn() {
    let Regression { actual, predicted, targets, rmse, mae, r2 } = figures().regression;
    let metrics = regression(rows(&predicted, targets).view(), rows(&actual, targets).view());
    assert_metric(&metrics, "rmse", rmse);
    assert_metric(&metrics, "mae", mae);
    assert_metric(&metrics, "r2", r2);
    let (predicted, actual) = (rows(&predicted, targets), rows(&actual, targets));
    let mut figures = ErrorFigures::new(targets);
    for (predicted, actual) in predicted.rows().into_iter().zip(actual.rows()) {
        figures.add(predicted.insert_axis(Axis(0)), actual.insert_axis(Axis(0)));
    }
    assert_eq!(figures.finish(actual.view()), metrics, "row by row they are the same");
}

#[test]
fn degenerate_data_gives_no_nan() {
    assert!(classification(Array2::zeros((0, 2)).view(), &[]).is_empty());
    assert!(regression(Array2::zeros((0, 1)).view(), Array2::zeros((0, 1)).view()).is_empty());
    assert!(!regression(array![[1.0]].view(), array![[1.0]].view()).contains_key("r2"));
    let constant = array![[2.0], [2.0]];
    assert_metric(&regression(constant.view(), constant.view()), "r2", 1.0);
    assert_metric(&regression(array![[1.0], [2.0]].view(), constant.view()), "r2", 0.0);
}

#[test]
fn of_equal_probabilities_the_first_wins() {
    assert_eq!(largest([0.25, 0.5, 0.5].into_iter()), 1);
}
