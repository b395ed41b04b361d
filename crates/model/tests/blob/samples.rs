//! The models behind the golden files. They never change: their blobs are committed.

use half::{bf16, f16};
use leat_model::{
    Activation, ActivationQuantization, Body, CompressionReport, Dense, Digest, Encoding, FeatureProfile,
    LayerReport, Lineage, Mask, Metrics, Model, Network, Preprocessing, ReferenceProfile, Signature,
    Standardise, Task, Tensor, TensorSpec, TrainingReport,
};

/// Every golden model with the name of its files.
pub(crate) fn all() -> Vec<(&'static str, Model)> {
    vec![
        ("encoding_f32", encoded(Tensor::f32(vec![2, 3], WEIGHTS.to_vec()))),
        ("encoding_f16", encoded(tensor(Encoding::F16(WEIGHTS.map(f16::from_f32).to_vec())))),
        ("encoding_bf16", encoded(tensor(Encoding::Bf16(WEIGHTS.map(bf16::from_f32).to_vec())))),
        ("encoding_int8_per_tensor", encoded(Tensor::int8(vec![2, 3], CODES.to_vec(), vec![0.5]))),
        ("encoding_int8_per_channel", encoded(Tensor::int8(vec![2, 3], CODES.to_vec(), vec![0.5, 0.25]))),
        ("encoding_int4", encoded(Tensor::int4(vec![2, 3], &CODES, vec![0.5, 0.25]).unwrap())),
        ("encoding_sparse", encoded(Tensor::sparse_from(vec![2, 3], &WEIGHTS))),
        ("encoding_codebook", encoded(codebook())),
        ("classifier", classifier()),
        ("onnx", onnx()),
    ]
}

const WEIGHTS: [f32; 6] = [0.5, 0.0, -1.25, 3.0, 0.0, -0.125];
const CODES: [i8; 6] = [1, 0, -3, 7, 0, -8];

fn tensor(encoding: Encoding) -> Tensor {
    Tensor { shape: vec![2, 3], encoding }
}

fn codebook() -> Tensor {
    Tensor::codebook(vec![2, 3], vec![-1.25, -0.125, 0.0, 0.5, 3.0], &[3, 2, 0, 4, 2, 1]).unwrap()
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index}")).collect()
}

fn dense(weights: Tensor, activation: Activation) -> Dense {
    let bias = (0..weights.shape[0]).map(|index| index as f32 * 0.25 - 0.5).collect();
    Dense { weights, bias, activation, mask: None, input_quantization: None }
}

/// A regression with three features and two targets, one layer and nothing that is optional.
pub(crate) fn encoded(weights: Tensor) -> Model {
    Model {
        name: "encoded".to_owned(),
        task: Task::Regression,
        signature: Signature::of_network(Task::Regression, names("x", 3), names("y", 2)),
        preprocessing: Preprocessing::default(),
        body: Body::Network(Network { layers: vec![dense(weights, Activation::Identity)] }),
        profile: None,
        training: None,
        compression: Vec::new(),
        lineage: Lineage::default(),
    }
}

/// A classifier that has every part a model can have.
pub(crate) fn classifier() -> Model {
    let mut hidden =
        dense(Tensor::int8(vec![4, 3], (-6..6).collect(), vec![0.5, 0.25, 0.125, 1.0]), Activation::Relu);
    hidden.mask = Some(Mask::from_values(&hidden.weights.to_f32()));
    hidden.input_quantization = Some(ActivationQuantization { scale: 0.0625, zero_point: 128 });
    let weights = (0u8..8).map(|index| f32::from(index) * 0.5 - 2.0).collect();
    let output = dense(Tensor::f32(vec![2, 4], weights), Activation::Identity);
    Model {
        name: "iris-2_classes".to_owned(),
        task: Task::Classification,
        signature: Signature::of_network(
            Task::Classification,
            ["sepal length", "sepal width", "Blütenblatt"].map(String::from).to_vec(),
            ["setosa", "versicolor"].map(String::from).to_vec(),
        ),
        preprocessing: Preprocessing {
            impute: Some(vec![5.8, 3.0, 4.3]),
            standardise: Some(Standardise { mean: vec![5.84, 3.05, 3.76], scale: vec![0.82, 0.43, 1.75] }),
        },
        body: Body::Network(Network { layers: vec![hidden, output] }),
        profile: Some(profile()),
        training: Some(training()),
        compression: vec![compression()],
        lineage: Lineage {
            parent: Some(Digest::of(b"parent")),
            data: Some(Digest::of(b"data")),
            recipe: r#"{"hidden":[4],"seed":42}"#.to_owned(),
            seed: u64::MAX,
            crate_version: "0.1.0".to_owned(),
        },
    }
}

fn profile() -> ReferenceProfile {
    let feature = |edges: &[f32], counts: &[u32], missing| FeatureProfile {
        edges: edges.to_vec(),
        counts: counts.to_vec(),
        missing,
    };
    ReferenceProfile {
        rows: 1000,
        features: vec![
            feature(&[4.8, 5.2, 5.8], &[100, 250, 350, 300], 0),
            feature(&[], &[1000], 0),
            feature(&[-1.5], &[400, 590], 10),
        ],
        class_ratios: vec![0.25, 0.75],
    }
}

fn metrics(accuracy: f64) -> Metrics {
    Metrics::from([("accuracy".to_owned(), accuracy), ("log_loss".to_owned(), 1.0 - accuracy)])
}

fn training() -> TrainingReport {
    TrainingReport {
        train_rows: 800,
        held_out_rows: 200,
        epochs: 30,
        best_epoch: 20,
        stopped_early: true,
        train_loss: 0.0625,
        held_out: metrics(0.975),
    }
}

fn compression() -> CompressionReport {
    CompressionReport {
        step: r#"{"quantize":{"int8":{"calibration":"min_max","per_channel":true}}}"#.to_owned(),
        parameter_bytes_before: 104,
        parameter_bytes_after: 84,
        nonzero_before: 20,
        nonzero_after: 18,
        held_out_before: metrics(0.975),
        held_out_after: metrics(0.96875),
        layers: vec![
            LayerReport {
                shape_before: vec![4, 3],
                shape_after: vec![4, 3],
                changed: 11,
                saturated: 1,
                weight_max: 5.0,
                sqnr_db: Some(41.5),
            },
            LayerReport {
                shape_before: vec![2, 4],
                shape_after: vec![2, 4],
                weight_max: 2.0,
                ..Default::default()
            },
        ],
    }
}

/// A model whose body is bytes that only an ONNX runtime understands.
pub(crate) fn onnx() -> Model {
    let spec = |name: &str, datatype, shape: &[i64]| TensorSpec {
        name: name.to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    Model {
        name: "imported".to_owned(),
        body: Body::Onnx(b"\x08\x08\x12\x04leat".to_vec()),
        signature: Signature {
            inputs: vec![
                spec("image", leat_model::DataType::Fp32, &[-1, 3, 8, 8]),
                spec("tokens", leat_model::DataType::Int64, &[-1, -1]),
            ],
            outputs: vec![
                spec("score", leat_model::DataType::Fp64, &[-1]),
                spec("name", leat_model::DataType::Bytes, &[-1]),
            ],
            features: Vec::new(),
            labels: Vec::new(),
        },
        ..encoded(codebook())
    }
}
