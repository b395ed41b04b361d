use leat_engine::{Batch, Error, Scratch, compile};
use leat_model::{Activation, Body, Model, Network, Preprocessing, Standardise, Task, Tensor};

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
            let plan = compile(&model).expect("a valid model");
            for (bad, row, feature) in
                [(f32::NAN, 0, 10), (f32::INFINITY, 149, 3), (f32::NEG_INFINITY, 96, 0)]
            {
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
        let plan =
            compile(&models::of(task, models::network(&[2, 3, 2], models::real))).expect("a valid model");
        let mut input = vec![0.5; 2 * 120];
        input[2 * 100] = f32::MAX;
        input[2 * 100 + 1] = f32::MAX;
        let mut wide = models::network(&[2, 3, 2], models::real);
        wide.layers[0].weights = Tensor::f32(vec![3, 2], vec![8.0; 6]);
        let wide = compile(&models::of(task, wide)).expect("a valid model");
        assert!(run(plan.as_ref(), &input[..20], &mut Scratch::default()).is_ok());
        let error = run(wide.as_ref(), &input, &mut Scratch::default()).expect_err("an overflow");
        assert!(matches!(error, Error::Overflow { row: 100 }), "{error}");
    }
}

#[test]
fn an_integer_plan_saturates_instead_of_overflowing() {
    let model = models::of(Task::Classification, models::network(&[3, 20, 2], models::integer));
    let plan = compile(&model).expect("a valid model");
    let output = run(plan.as_ref(), &[f32::MAX, -f32::MAX, 0.0], &mut Scratch::default()).expect("finite");
    assert!(output.iter().all(|p| (0.0..=1.0).contains(p)), "{output:?}");
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
