//! Random models that are valid by construction.

use half::{bf16, f16};
use leat_model::{
    Activation, ActivationQuantization, Body, CompressionReport, DataType, Dense, Digest, Encoding,
    FeatureProfile, LayerReport, Lineage, Mask, Metrics, Model, Network, Preprocessing, ReferenceProfile,
    Signature, Standardise, Task, Tensor, TensorSpec, TrainingReport,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
use proptest::prelude::*;

pub(crate) fn model() -> impl Strategy<Value = Model> {
    (any::<bool>(), 1usize..6, vec(1usize..6, 0..3), 2usize..5)
        .prop_flat_map(|(is_classification, features, hidden, outputs)| {
            let task = if is_classification { Task::Classification } else { Task::Regression };
            let widths = [vec![features], hidden, vec![outputs]].concat();
            let classes = if is_classification { outputs } else { 0 };
            (
                "[a-z0-9][a-z0-9_-]{0,62}",
                (unique_names(features), unique_names(outputs))
                    .prop_map(move |(features, labels)| Signature::of_network(task, features, labels)),
                preprocessing(features),
                network(&widths),
                proptest::option::of(profile(features, classes)),
                proptest::option::of(training()),
                vec(compression(), 0..3),
                lineage(),
                proptest::option::weighted(0.1, vec(any::<u8>(), 1..50)),
            )
                .prop_map(
                    move |(
                        name,
                        signature,
                        preprocessing,
                        network,
                        profile,
                        training,
                        compression,
                        lineage,
                        onnx,
                    )| {
                        let body = onnx.map_or(Body::Network(network), Body::Onnx);
                        Model {
                            name,
                            task,
                            signature,
                            preprocessing,
                            body,
                            profile,
                            training,
                            compression,
                            lineage,
                        }
                    },
                )
        })
        .prop_map(rename_onnx_tensors)
}

/// An ONNX body may have inputs and outputs that no network has.
fn rename_onnx_tensors(mut model: Model) -> Model {
    if matches!(model.body, Body::Onnx(_)) {
        let extra =
            TensorSpec { name: "extra".to_owned(), datatype: DataType::Int64, shape: vec![-1, 7, -1] };
        model.signature.inputs.push(extra);
    }
    model
}

fn finite() -> impl Strategy<Value = f32> {
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn scale() -> impl Strategy<Value = f32> {
    1e-6f32..1e6
}

fn unique_names(count: usize) -> impl Strategy<Value = Vec<String>> {
    btree_set(".{1,12}", count).prop_map(|names| names.into_iter().rev().collect())
}

fn preprocessing(features: usize) -> impl Strategy<Value = Preprocessing> {
    let standardise = (vec(finite(), features), vec(scale(), features));
    (proptest::option::of(vec(finite(), features)), proptest::option::of(standardise)).prop_map(
        |(impute, standardise)| Preprocessing {
            impute,
            standardise: standardise.map(|(mean, scale)| Standardise { mean, scale }),
        },
    )
}

fn network(widths: &[usize]) -> impl Strategy<Value = Network> + use<> {
    let layers: Vec<_> = widths.windows(2).map(|pair| dense(pair[0], pair[1]).boxed()).collect();
    layers.prop_map(|layers| Network { layers })
}

fn dense(inputs: usize, outputs: usize) -> impl Strategy<Value = Dense> {
    let quantization =
        (scale(), any::<u8>()).prop_map(|(scale, zero_point)| ActivationQuantization { scale, zero_point });
    let activations =
        vec![Activation::Identity, Activation::Relu, Activation::Tanh, Activation::Sigmoid, Activation::Gelu];
    (
        tensor(outputs, inputs),
        vec(finite(), outputs),
        proptest::sample::select(activations),
        0..3,
        proptest::option::of(quantization),
    )
        .prop_map(|(weights, bias, activation, mask, input_quantization)| {
            let mask = match mask {
                0 => None,
                1 => Some(Mask::filled(weights.len())),
                _ => Some(Mask::from_values(&weights.to_f32())),
            };
            Dense { weights, bias, activation, mask, input_quantization }
        })
}

fn tensor(rows: usize, columns: usize) -> impl Strategy<Value = Tensor> {
    let count = rows * columns;
    let shape = move || vec![rows, columns];
    let scales = move || prop_oneof![vec(scale(), 1), vec(scale(), rows)];
    prop_oneof![
        vec(finite(), count).prop_map(move |values| Tensor::f32(shape(), values)),
        vec(any::<u16>(), count).prop_map(move |bits| {
            // Clearing one bit of the exponent leaves neither infinity nor NaN.
            let values = bits.iter().map(|bits| f16::from_bits(bits & !0x0400)).collect();
            Tensor { shape: shape(), encoding: Encoding::F16(values) }
        }),
        vec(any::<u16>(), count).prop_map(move |bits| {
            let values = bits.iter().map(|bits| bf16::from_bits(bits & !0x0080)).collect();
            Tensor { shape: shape(), encoding: Encoding::Bf16(values) }
        }),
        (vec(any::<i8>(), count), scales()).prop_map(move |(codes, scales)| Tensor::int8(
            shape(),
            codes,
            scales
        )),
        (vec(-8i8..=7, count), scales()).prop_map(move |(codes, scales)| Tensor::int4(
            shape(),
            &codes,
            scales
        )
        .unwrap()),
        vec(prop_oneof![Just(0.0), finite()], count)
            .prop_map(move |values| Tensor::sparse_from(shape(), &values)),
        (1usize..=256, vec(any::<usize>(), count)).prop_map(move |(centroids, indices)| {
            let values = (0..centroids).map(|index| index as f32 * 0.5 - 20.0).collect();
            let indices: Vec<u8> = indices.iter().map(|index| (index % centroids) as u8).collect();
            Tensor::codebook(shape(), values, &indices).unwrap()
        }),
    ]
}

fn profile(features: usize, classes: usize) -> impl Strategy<Value = ReferenceProfile> {
    const ROWS: u64 = 100_000;
    let feature = btree_set(-1000i32..1000, 0..=9).prop_flat_map(|edges| {
        let edges: Vec<f32> = edges.into_iter().map(|edge| edge as f32 * 0.37).collect();
        (vec(0u32..10_000, edges.len() + 1), Just(edges)).prop_map(|(counts, edges)| {
            let missing = (ROWS - counts.iter().map(|count| u64::from(*count)).sum::<u64>()) as u32;
            FeatureProfile { edges, counts, missing }
        })
    });
    (vec(feature, features), vec(1u8.., classes)).prop_map(|(features, parts)| {
        let whole: f32 = parts.iter().map(|part| f32::from(*part)).sum();
        let class_ratios = parts.iter().map(|part| f32::from(*part) / whole).collect();
        ReferenceProfile { rows: ROWS, features, class_ratios }
    })
}

fn metrics() -> impl Strategy<Value = Metrics> {
    btree_map(".{0,12}", -1e300f64..1e300, 0..4)
}

fn training() -> impl Strategy<Value = TrainingReport> {
    (any::<[u64; 2]>(), any::<[u32; 2]>(), any::<bool>(), -1e9f64..1e9, metrics()).prop_map(
        |(rows, epochs, stopped_early, train_loss, held_out)| TrainingReport {
            train_rows: rows[0],
            held_out_rows: rows[1],
            epochs: epochs[0].max(epochs[1]),
            best_epoch: epochs[0].min(epochs[1]),
            stopped_early,
            train_loss,
            held_out,
        },
    )
}

fn compression() -> impl Strategy<Value = CompressionReport> {
    let layer = (any::<[u64; 6]>(), -1e9f64..1e9, proptest::option::of(-1e9f64..1e9)).prop_map(
        |(numbers, weight_max, sqnr_db)| LayerReport {
            shape_before: numbers[..2].to_vec(),
            shape_after: numbers[2..4].to_vec(),
            changed: numbers[4],
            saturated: numbers[5],
            weight_max,
            sqnr_db,
        },
    );
    (any::<String>(), any::<[u64; 4]>(), metrics(), metrics(), vec(layer, 0..3)).prop_map(
        |(step, numbers, held_out_before, held_out_after, layers)| CompressionReport {
            step,
            parameter_bytes_before: numbers[0],
            parameter_bytes_after: numbers[1],
            nonzero_before: numbers[2],
            nonzero_after: numbers[3],
            held_out_before,
            held_out_after,
            layers,
        },
    )
}

fn lineage() -> impl Strategy<Value = Lineage> {
    let digest = || proptest::option::of(any::<[u8; 4]>().prop_map(|bytes| Digest::of(&bytes)));
    (digest(), digest(), any::<String>(), any::<u64>(), "[0-9.]{0,12}").prop_map(
        |(parent, data, recipe, seed, crate_version)| Lineage { parent, data, recipe, seed, crate_version },
    )
}
