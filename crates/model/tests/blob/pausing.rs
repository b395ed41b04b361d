//! A model is read in small pieces.

use std::cell::Cell;
use std::rc::Rc;

use half::{bf16, f16};
use leat_model::{Body, Dense, Encoding, Mask, Model, Signature, Tensor, blob};
use leat_pauses::with_pauses;

use crate::samples;

/// Outputs and inputs of the layer.
const LENGTHS: [usize; 2] = [512, 1024];

#[test]
fn the_more_bytes_the_more_pauses_whatever_the_encoding() {
    let [outputs, inputs] = LENGTHS;
    let values: Vec<f32> = (0..outputs * inputs).map(|at| (at % 13) as f32 - 6.0).collect();
    let codes: Vec<i8> = values.iter().map(|value| *value as i8).collect();
    let indices: Vec<u8> = (0..values.len()).map(|at| (at % 4) as u8).collect();
    let shape = || LENGTHS.to_vec();
    let of = |encoding| Tensor { shape: shape(), encoding };
    let tensors = [
        Tensor::f32(shape(), values.clone()),
        of(Encoding::F16(values.iter().copied().map(f16::from_f32).collect())),
        of(Encoding::Bf16(values.iter().copied().map(bf16::from_f32).collect())),
        Tensor::int8(shape(), codes.clone(), vec![0.5]),
        Tensor::int4(shape(), &codes, vec![0.5]).unwrap(),
        Tensor::sparse_from(shape(), &values),
        Tensor::codebook(shape(), vec![0.0, 1.0, 2.0, 3.0], &indices).unwrap(),
    ];
    for tensor in tensors {
        for mask in [None, Some(Mask::filled(values.len()))] {
            let bytes = blob::write(&of_one_layer(tensor.clone(), mask)).unwrap();
            let pauses = Rc::new(Cell::new(0));
            let counting = pauses.clone();
            let read = with_pauses(move || counting.set(counting.get() + 1), || blob::read(&bytes));
            assert!(read.is_ok());
            // Each byte is at least compared and copied.
            let least = 2 * bytes.len() / (64 << 10);
            assert!(pauses.get() > least, "{} of {least} with {}", pauses.get(), tensor.encoding.name());
        }
    }
}

fn of_one_layer(weights: Tensor, mask: Option<Mask>) -> Model {
    let mut model = samples::encoded(weights);
    let names = |prefix: &str, count: usize| (0..count).map(|index| format!("{prefix}{index}")).collect();
    let [outputs, inputs] = LENGTHS;
    model.signature = Signature::of_network(model.task, names("x", inputs), names("y", outputs));
    if let Body::Network(network) = &mut model.body {
        network.layers.iter_mut().for_each(|layer: &mut Dense| layer.mask.clone_from(&mask));
    }
    model
}
