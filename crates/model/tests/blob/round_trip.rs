use leat_model::{
    Activation, ActivationQuantization, Body, Dense, FeatureProfile, Network, Preprocessing,
    ReferenceProfile, Signature, Standardise, Task, Tensor, blob,
};
use proptest::prelude::*;

use crate::random;
use crate::samples;

proptest! {
    #[test]
    fn a_model_comes_back_from_its_blob(model in random::model()) {
        let bytes = blob::write(&model).unwrap();
        let back = blob::read(&bytes).unwrap();
        // Equality of f32 does not see the sign of zero; the bytes do.
        prop_assert_eq!(blob::write(&back).unwrap(), bytes);
        prop_assert_eq!(back, model);
    }
}

#[test]
fn figures_of_a_network_count_what_is_stored() {
    let Body::Network(network) = samples::classifier().body else { panic!("not a network") };
    assert_eq!((network.features(), network.outputs()), (3, 2));
    assert_eq!(network.parameters(), 12 + 4 + 8 + 2);
    assert_eq!(
        network.parameter_bytes(),
        (12 + 4 * 4 + 2 + 4 * 4) + (8 * 4 + 2 * 4),
        "with a mask of 12 bits"
    );
    assert_eq!(network.nonzero_weights(), 11 + 7);
    let empty = Network { layers: Vec::new() };
    assert_eq!((empty.features(), empty.outputs(), empty.parameters()), (0, 0, 0));
}

/// A 64-64-10 classifier of 8×8 images in int8. Pixels have few distinct values, so about half of the deciles merge.
#[test]
fn a_small_quantized_model_stays_small() {
    let layer = |outputs: usize, inputs: usize, activation| Dense {
        weights: Tensor::int8(vec![outputs, inputs], vec![1; outputs * inputs], vec![0.01; outputs]),
        bias: vec![0.5; outputs],
        activation,
        mask: None,
        input_quantization: Some(ActivationQuantization { scale: 0.05, zero_point: 128 }),
    };
    let feature = FeatureProfile {
        edges: (0u8..5).map(f32::from).collect(),
        counts: vec![437, 200, 200, 200, 200, 200],
        missing: 0,
    };
    let mut model = samples::classifier();
    let features = (0..64).map(|index| format!("pixel_{}_{}", index / 8, index % 8)).collect();
    let labels = (0..10).map(|digit| digit.to_string()).collect();
    model.signature = Signature::of_network(Task::Classification, features, labels);
    model.preprocessing = Preprocessing {
        impute: None,
        standardise: Some(Standardise { mean: vec![5.0; 64], scale: vec![2.0; 64] }),
    };
    model.profile =
        Some(ReferenceProfile { rows: 1437, features: vec![feature; 64], class_ratios: vec![0.1; 10] });
    let layers = vec![layer(64, 64, Activation::Relu), layer(10, 64, Activation::Identity)];
    model.body = Body::Network(Network { layers });
    let bytes = blob::write(&model).unwrap();
    assert!(bytes.len() <= 10 * 1024, "{} bytes", bytes.len());
}
