//! Plans against NumPy and SciPy in `f64`; `fixtures/forward.py` makes the answers.
use leat_engine::{Batch, Kernels, Scratch, compile_with};
use leat_model::{
    Activation, ActivationQuantization, Dense, Model, Network, Preprocessing, Standardise, Task, Tensor,
};
use serde_json::Value;

use crate::models;

/// `f32` against `f64`: relative to the greater of the answer and one.
const TOLERANCE: f64 = 1e-5;

fn fixture() -> Vec<Value> {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/forward.json")).expect("JSON");
    fixture["cases"].as_array().expect("cases").clone()
}

/// An array of numbers; `null` is NaN.
fn numbers(value: &Value) -> Vec<f32> {
    let number = |x: &Value| x.as_f64().map_or(f32::NAN, |x| x as f32);
    value.as_array().expect("an array").iter().map(number).collect()
}

fn optional(value: &Value) -> Option<Vec<f32>> {
    (!value.is_null()).then(|| numbers(value))
}

fn layer(value: &Value) -> Dense {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).expect("a shape");
    let is_integer = !value["codes"].is_null();
    Dense {
        weights: if is_integer {
            let codes = serde_json::from_value(value["codes"].clone()).expect("codes");
            Tensor::int8(shape, codes, numbers(&value["scales"]))
        } else {
            Tensor::f32(shape, numbers(&value["weights"]))
        },
        bias: numbers(&value["bias"]),
        activation: serde_json::from_value::<Activation>(value["activation"].clone()).expect("an activation"),
        mask: None,
        input_quantization: is_integer.then(|| ActivationQuantization {
            scale: value["input"]["scale"].as_f64().expect("a scale") as f32,
            zero_point: value["input"]["zero_point"].as_u64().expect("a code") as u8,
        }),
    }
}

fn model(case: &Value) -> Model {
    let task: Task = serde_json::from_value(case["task"].clone()).expect("a task");
    let layers = case["layers"].as_array().expect("layers").iter().map(layer).collect();
    let mut model = models::of(task, Network { layers });
    let mean = optional(&case["mean"]);
    let standardise = mean.map(|mean| Standardise { mean, scale: numbers(&case["scale"]) });
    model.preprocessing = Preprocessing { impute: optional(&case["impute"]), standardise };
    model
}

#[test]
fn plans_agree_with_numpy() {
    for case in fixture() {
        let (name, model) = (case["name"].as_str().expect("a name"), model(&case));
        let input = numbers(&case["rows"]);
        let expected: Vec<f64> = serde_json::from_value(case["expected"].clone()).expect("numbers");
        for kernels in Kernels::available() {
            let plan = compile_with(&model, kernels).expect(name);
            let mut output = vec![0.0; expected.len()];
            let rows = input.len() / plan.features();
            let batch = Batch { rows, input: &input, output: &mut output };
            plan.run(batch, &mut Scratch::default()).expect(name);
            for (&found, &expected) in output.iter().zip(&expected) {
                let error = (f64::from(found) - expected).abs() / expected.abs().max(1.0);
                assert!(error < TOLERANCE, "{name}: {found}, expected {expected} ({})", plan.describe());
            }
        }
    }
}
