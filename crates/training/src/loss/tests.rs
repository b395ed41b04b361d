use ndarray::{Array2, array};
use serde::Deserialize;

use super::*;
use crate::fixtures::{assert_close, read, rows};

#[derive(Deserialize)]
struct Case {
    temperature: f32,
    alpha: f32,
    student: Vec<f32>,
    teacher: Vec<f32>,
    truth: Vec<usize>,
    value: f64,
    gradient: Vec<f32>,
}

fn measure(objective: &Objective, outputs: &Array2<f32>) -> (f64, Array2<f32>) {
    let mut slopes = Array2::from_elem(outputs.dim(), f32::NAN);
    let positions: Vec<usize> = (0..outputs.nrows()).collect();
    let count = outputs.nrows() as f32;
    let total = objective.measure(&positions, outputs.view(), slopes.view_mut());
    (total / f64::from(count), slopes / count)
}

#[test]
fn distillation_is_that_of_pytorch() {
    let cases: Vec<Case> = read(include_str!("../../tests/fixtures/distillation.json"));
    for Case { temperature, alpha, student, teacher, truth, value, gradient } in cases {
        let mut values = rows(&teacher, 4);
        values.rows_mut().into_iter().for_each(|row| softmax(row, temperature));
        let soft = Some(SoftTargets { values, temperature, alpha });
        let objective = Objective { loss: Loss::CrossEntropy, truth: Truth::Classes(truth), soft };
        let (loss, slopes) = measure(&objective, &rows(&student, 4));
        assert!((loss - value).abs() < 2e-6, "T={temperature}: {loss} against {value}");
        assert_close(slopes.as_slice().unwrap(), &gradient, 2e-6);
    }
}

#[test]
fn a_regression_teacher_is_mixed_in_by_alpha() {
    let soft = Some(SoftTargets { values: array![[3.0, 0.0]], temperature: 1.0, alpha: 0.25 });
    let objective = Objective { loss: Loss::Mse, truth: Truth::Values(array![[1.0, 0.0]]), soft };
    let (loss, slopes) = measure(&objective, &array![[2.0, 1.0]]);
    assert_eq!(loss, 1.0);
    assert_close(slopes.as_slice().unwrap(), &[0.75 - 0.25, 0.75 + 0.25], 1e-6);
}

#[test]
fn cross_entropy_stays_finite_for_extreme_logits_and_shows_nan() {
    let objective = Objective { loss: Loss::CrossEntropy, truth: Truth::Classes(vec![1]), soft: None };
    let (loss, slopes) = measure(&objective, &array![[1e30, -1e30]]);
    assert!(loss > 1e30 && slopes.iter().all(|slope| slope.is_finite()));
    for poison in [f32::NAN, f32::INFINITY] {
        assert!(measure(&objective, &array![[poison, 0.0]]).0.is_nan());
    }
}
