use leat_engine::{Batch, Error, Scratch, compile};
use leat_model::{
    Activation, ActivationQuantization, Body, Dense, Model, Network, Preprocessing, Standardise, Task, Tensor,
};

use crate::models::{self, run};

fn model() -> Model {
    models::of(Task::Classification, models::network(&[3, 20, 2], models::real))
}

#[test]
fn refuses_rows_and_outputs_of_the_wrong_length() {
    let plan = compile(&model()).expect("a valid model");
    let attempt = |rows, input: usize, output: usize| {
        let batch = Batch { rows, input: &vec![0.0; input], output: &mut vec![0.0; output] };
        plan.run(batch, &mut Scratch::default())
    };
    assert!(matches!(attempt(2, 5, 4), Err(Error::InputLength { rows: 2, features: 3, found: 5 })));
    assert!(matches!(attempt(2, 6, 3), Err(Error::OutputLength { rows: 2, outputs: 2, found: 3 })));
    assert!(matches!(attempt(usize::MAX, 3, 2), Err(Error::InputLength { .. })));
    assert!(attempt(0, 0, 0).is_ok());
}

#[test]
fn refuses_nan_and_infinity_and_says_where() {
    for layer in [models::real, models::integer] {
        let mut model = models::of(Task::Classification, models::network(&[11, 20, 2], layer));
        for impute in [None, Some(vec![0.5; 11])] {
            model.preprocessing.impute = impute.clone();
            let bads = [(f32::NAN, 0, 10), (f32::INFINITY, 149, 3), (f32::NEG_INFINITY, 96, 0)];
            let plans = models::plans(&model);
            for (plan, (bad, row, feature)) in plans.iter().flat_map(|plan| bads.map(|bad| (plan, bad))) {
                let mut input = models::values(150 * 11, 1);
                input[row * 11 + feature] = bad;
                let result = run(plan.as_ref(), &input, &mut Scratch::default());
                if bad.is_nan() && impute.is_some() {
                    let imputed = result.expect("NaN is imputed");
                    input[row * 11 + feature] = 0.5;
                    let direct = run(plan.as_ref(), &input, &mut Scratch::default()).expect("finite rows");
                    assert_eq!(imputed, direct);
                } else {
                    let error = result.expect_err("not finite");
                    let is_expected =
                        matches!(error, Error::NotFinite { row: r, feature: f } if (r, f) == (row, feature));
                    assert!(is_expected, "{error}");
                }
            }
        }
    }
}

#[test]
fn refuses_to_answer_what_overflows() {
    for task in [Task::Regression, Task::Classification] {
        let mut network = models::network(&[2, 3, 2], models::real);
        network.layers[0].weights = Tensor::f32(vec![3, 2], vec![8.0; 6]);
        for plan in models::plans(&models::of(task, network)) {
            let mut input = vec![0.5; 2 * 120];
            assert!(run(plan.as_ref(), &input, &mut Scratch::default()).is_ok());
            input[2 * 100..2 * 101].fill(f32::MAX);
            let error = run(plan.as_ref(), &input, &mut Scratch::default()).expect_err("an overflow");
            assert!(matches!(error, Error::Overflow { row: 100 }), "{error}");
        }
    }
}

#[test]
fn an_integer_plan_saturates_instead_of_overflowing() {
    let model = models::of(Task::Classification, models::network(&[3, 20, 2], models::integer));
    for plan in models::plans(&model) {
        let answer = |row: [f32; 3]| run(plan.as_ref(), &row, &mut Scratch::default()).expect("finite");
        // The outermost codes stand for -2.02 and 3.08.
        assert_eq!(answer([f32::MAX, -f32::MAX, 0.0]), answer([3.08, -2.02, 0.0]));
        assert_ne!(answer([f32::MAX, -f32::MAX, 0.0]), answer([3.0, -2.0, 0.0]));
    }
}

/// Two layers, the first of which has one output and these weights and is on `f32`.
fn mixed(weights: [f32; 2], last: Dense) -> Model {
    let mut first = models::real(2, 1, Activation::Relu, 1);
    first.weights = Tensor::f32(vec![1, 2], weights.to_vec());
    models::of(Task::Regression, Network { layers: vec![first, last] })
}

#[test]
fn what_integers_have_no_code_for_overflows_as_it_does_without_integers() {
    let lasts = [models::real, models::integer].map(|layer| layer(1, 1, Activation::Identity, 1));
    for (weights, last) in [[8.0, -8.0], [8.0, 0.0]].into_iter().flat_map(|w| lasts.clone().map(|l| (w, l))) {
        for plan in models::plans(&mixed(weights, last)) {
            let mut input = [0.5; 2 * 40];
            input[2 * 33..2 * 34].fill(f32::MAX);
            let error = run(plan.as_ref(), &input, &mut Scratch::default()).expect_err("no number");
            assert!(matches!(error, Error::Overflow { row: 33 }), "{error}, {}", plan.describe());
        }
    }
}

/// What a standardisation makes infinite is refused too, rather than taken for the greatest that has a code.
#[test]
fn a_feature_that_overflows_before_it_is_quantized_is_refused() {
    let mut model = models::of(Task::Regression, models::network(&[2, 2], models::integer));
    let standardise = Standardise { mean: vec![0.0; 2], scale: vec![0.25, 1.0] };
    model.preprocessing = Preprocessing { impute: None, standardise: Some(standardise) };
    for plan in models::plans(&model) {
        let input = [1.0, 1.0, f32::MAX, 1.0];
        let error = run(plan.as_ref(), &input, &mut Scratch::default()).expect_err("no number");
        assert!(matches!(error, Error::Overflow { row: 1 }), "{error}, {}", plan.describe());
    }
}

/// Outputs that only pad a layer are NaN here; the one that counts is zero, since a rectifier follows.
#[test]
fn what_pads_a_layer_refuses_nothing() {
    let mut model = mixed([8.0, 0.0], models::integer(1, 1, Activation::Identity, 1));
    let mut second = models::real(1, 1, Activation::Relu, 1);
    second.weights = Tensor::f32(vec![1, 1], vec![-1.0]);
    body(&mut model).layers.insert(1, second);
    for plan in models::plans(&model) {
        assert!(run(plan.as_ref(), &[f32::MAX, 0.0], &mut Scratch::default()).is_ok());
    }
}

#[test]
fn refuses_scales_whose_product_is_not_finite() {
    let mut layer = models::integer(2, 3, Activation::Identity, 1);
    layer.input_quantization = Some(ActivationQuantization { scale: 1e30, zero_point: 0 });
    layer.weights = Tensor::int8(vec![3, 2], vec![0, 1, 2, 3, 4, 5], vec![1.0, 1e30, 1.0]);
    let error =
        compile(&models::of(Task::Regression, Network { layers: vec![layer] })).err().expect("beyond f32");
    let text = error.to_string();
    assert!(matches!(error, Error::Unsupported { .. }) && text.contains("1e30 · 1e30"), "{text}");
}

#[test]
fn refuses_an_onnx_graph_by_name() {
    let mut model = model();
    model.body = Body::Onnx(vec![8, 7]);
    let error = compile(&model).err().expect("no ONNX yet");
    assert!(matches!(error, Error::Unsupported { .. }));
    assert!(error.to_string().contains("ONNX"), "{error}");
}

#[test]
fn refuses_models_that_are_not_valid() {
    let broken: [fn(&mut Model); 6] = [
        |model| body(model).layers.clear(),
        |model| body(model).layers.truncate(1),
        |model| body(model).layers[0].bias.truncate(3),
        |model| body(model).layers[1] = models::real(19, 2, Activation::Identity, 1),
        |model| body(model).layers[0].weights = Tensor::f32(vec![20, 3], vec![f32::NAN; 60]),
        |model| {
            let standardise = Standardise { mean: vec![0.0; 2], scale: vec![1.0; 2] };
            model.preprocessing = Preprocessing { impute: None, standardise: Some(standardise) };
        },
    ];
    for break_it in broken {
        let mut model = model();
        break_it(&mut model);
        assert!(matches!(compile(&model), Err(Error::Model(_))));
    }
}

fn body(model: &mut Model) -> &mut Network {
    match &mut model.body {
        Body::Network(network) => network,
        Body::Onnx(_) => panic!("the model is native"),
    }
}
