//! One rule broken at a time.

use leat_model::{Activation, Body, DataType, Dense, Error, Mask, Model, Tensor, TensorSpec, blob, limits};

use crate::samples;

/// What breaks the rule, and the path that the error must name.
type Case = (fn(&mut Model), &'static str);

fn layers(model: &mut Model) -> &mut Vec<Dense> {
    match &mut model.body {
        Body::Network(network) => &mut network.layers,
        Body::Onnx(_) => panic!("not a network"),
    }
}

fn assert_refused(cases: &[Case]) {
    for (index, (spoil, expected)) in cases.iter().enumerate() {
        let mut model = samples::classifier();
        model.validate().unwrap();
        spoil(&mut model);
        for error in [model.validate().unwrap_err(), blob::write(&model).unwrap_err()] {
            let is_expected = matches!(&error, Error::Invalid { place, .. } if place == expected);
            assert!(is_expected, "case {index}: expected {expected}: {error}");
        }
    }
}

#[test]
fn names_and_signatures_are_checked() {
    assert_refused(&[
        (|model| model.name.clear(), "name"),
        (|model| model.name = "Digits".to_owned(), "name"),
        (|model| model.name = "-digits".to_owned(), "name"),
        (|model| model.name = "a.b".to_owned(), "name"),
        (|model| model.name = "a".repeat(64), "name"),
        (|model| model.signature.inputs.clear(), "signature.inputs"),
        (|model| model.signature.inputs[0].name = "x".to_owned(), "signature"),
        (|model| model.signature.inputs[0].shape[0] = -2, "signature.inputs[0].shape"),
        (|model| model.signature.inputs[0].shape[1] = 0, "signature.inputs[0].shape"),
        (|model| model.signature.inputs[0].shape = vec![-1; 9], "signature.inputs[0].shape"),
        (|model| model.signature.outputs[0].datatype = DataType::Fp64, "signature"),
        (|model| model.signature.outputs.truncate(1), "signature"),
        (|model| model.signature.outputs[1].name = "probabilities".to_owned(), "signature.outputs[1]"),
        (
            |model| {
                let spec = TensorSpec { name: "x".to_owned(), datatype: DataType::Fp32, shape: vec![] };
                model.signature.inputs = vec![spec; 65];
            },
            "signature.inputs",
        ),
        (|model| model.signature.features[1] = model.signature.features[0].clone(), "signature.features[1]"),
        (|model| model.signature.features[2].clear(), "signature.features[2]"),
        (
            |model| model.signature.features[0] = "x".repeat(limits::NAME_BYTES_MAX + 1),
            "signature.features[0]",
        ),
        (|model| model.signature.labels[1] = model.signature.labels[0].clone(), "signature.labels[1]"),
        (|model| model.signature.labels.push("third".to_owned()), "signature.labels"),
    ]);
}

#[test]
fn networks_are_checked() {
    assert_refused(&[
        (|model| layers(model).clear(), "body.layers"),
        (|model| layers(model).swap(0, 1), "body.layers[1].inputs"),
        (|model| drop(layers(model).pop()), "signature.labels"),
        (|model| layers(model)[0].weights.shape = vec![12], "body.layers[0].weights.shape"),
        (|model| layers(model)[0].weights.shape = vec![4, 3, 1], "body.layers[0].weights.shape"),
        (
            |model| layers(model)[1].weights = Tensor::f32(vec![2, 4], vec![f32::NAN; 8]),
            "body.layers[1].weights.data",
        ),
        (|model| layers(model)[0].bias.truncate(3), "body.layers[0].bias"),
        (|model| layers(model)[0].bias[3] = f32::NEG_INFINITY, "body.layers[0].bias"),
        (|model| layers(model)[0].mask = Some(Mask::filled(11)), "body.layers[0].mask"),
        (
            |model| layers(model)[0].mask = Some(Mask { len: 12, bits: vec![0, 0xf0] }),
            "body.layers[0].mask.bits",
        ),
        (|model| layers(model)[0].mask = Some(Mask { len: 12, bits: vec![0, 0] }), "body.layers[0].mask"),
        (
            |model| layers(model)[0].input_quantization.as_mut().unwrap().scale = 0.0,
            "body.layers[0].input_quantization.scale",
        ),
        (
            |model| {
                let identity = Dense {
                    weights: Tensor::f32(vec![2, 2], vec![1.0; 4]),
                    bias: vec![0.0; 2],
                    activation: Activation::Identity,
                    mask: None,
                    input_quantization: None,
                };
                layers(model).extend(std::iter::repeat_n(identity, limits::LAYERS_MAX));
            },
            "body.layers",
        ),
    ]);
}

#[test]
fn a_classifier_has_two_classes() {
    assert_refused(&[(
        |model| {
            model.signature.labels.truncate(1);
            layers(model)[1].weights = Tensor::f32(vec![1, 4], vec![1.0; 4]);
            layers(model)[1].bias.truncate(1);
        },
        "signature.labels",
    )]);
}

#[test]
fn preprocessing_and_profiles_are_checked() {
    assert_refused(&[
        (|model| model.preprocessing.impute = Some(vec![0.0; 2]), "preprocessing.impute"),
        (|model| model.preprocessing.impute = Some(vec![f32::NAN; 3]), "preprocessing.impute"),
        (
            |model| model.preprocessing.standardise.as_mut().unwrap().scale[1] = 0.0,
            "preprocessing.standardise.scale",
        ),
        (
            |model| model.preprocessing.standardise.as_mut().unwrap().mean.truncate(2),
            "preprocessing.standardise.mean",
        ),
        (|model| drop(model.profile.as_mut().unwrap().features.pop()), "profile.features"),
        (|model| model.profile.as_mut().unwrap().features[0].edges.swap(0, 1), "profile.features[0].edges"),
        (
            |model| model.profile.as_mut().unwrap().features[0].edges[2] = f32::NAN,
            "profile.features[0].edges",
        ),
        (
            |model| model.profile.as_mut().unwrap().features[0].edges = vec![0.0; 10],
            "profile.features[0].edges",
        ),
        (|model| model.profile.as_mut().unwrap().features[1].counts.push(0), "profile.features[1].counts"),
        (|model| model.profile.as_mut().unwrap().features[1].missing = 1, "profile.features[1].counts"),
        (|model| model.profile.as_mut().unwrap().class_ratios.clear(), "profile.class_ratios"),
        (|model| model.profile.as_mut().unwrap().class_ratios[0] = 0.5, "profile.class_ratios"),
        (|model| model.profile.as_mut().unwrap().class_ratios = vec![-0.5, 1.5], "profile.class_ratios"),
        (|model| model.profile.as_mut().unwrap().class_ratios = vec![f32::NAN; 2], "profile.class_ratios"),
    ]);
}

#[test]
fn reports_and_lineage_are_checked() {
    assert_refused(&[
        (|model| model.training.as_mut().unwrap().best_epoch = 31, "training.best_epoch"),
        (|model| model.training.as_mut().unwrap().train_loss = f64::NAN, "training.train_loss"),
        (
            |model| model.training.as_mut().unwrap().held_out.extend([("r2".to_owned(), f64::NAN)]),
            "training.held_out.r2",
        ),
        (
            |model| model.compression[0].layers[0].sqnr_db = Some(f64::INFINITY),
            "compression[0].layers[0].sqnr_db",
        ),
        (
            |model| model.compression[0].layers[1].shape_after = vec![1; 9],
            "compression[0].layers[1].shape_after",
        ),
        (|model| model.compression[0].step = "x".repeat(limits::RECIPE_BYTES_MAX + 1), "compression[0].step"),
        (|model| model.compression = vec![model.compression[0].clone(); 257], "compression"),
        (|model| model.lineage.recipe = "x".repeat(limits::RECIPE_BYTES_MAX + 1), "lineage.recipe"),
        (|model| model.lineage.crate_version = "x".repeat(2000), "lineage.crate_version"),
    ]);
}
