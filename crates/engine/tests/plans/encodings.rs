use half::{bf16, f16};
use leat_engine::{Kernels, Scratch, compile_with};
use leat_model::{Encoding, Network, Task, Tensor};

use crate::models::{self, bits, run};

/// The second layer is wide enough for small weights to be worth unpacking.
const SHAPES: [(usize, usize); 2] = [(13, 5), (700, 300)];

fn with_weights(weights: Tensor) -> Network {
    let mut network = models::network(&[weights.shape[1], weights.shape[0]], models::real);
    network.layers[0].weights = weights;
    network
}

fn encodings(inputs: usize, outputs: usize) -> Vec<Tensor> {
    let shape = vec![outputs, inputs];
    let values = models::values(inputs * outputs, 4);
    let sparse: Vec<f32> = values.iter().map(|&x| if x > 0.3 { x } else { 0.0 }).collect();
    let indices: Vec<u8> = values.iter().map(|&x| u8::from(x > 0.0)).collect();
    let small: Vec<i8> = values.iter().map(|x| (x * 7.0) as i8).collect();
    let wide: Vec<i8> = values.iter().map(|x| (x * 127.0) as i8).collect();
    let with = |encoding| Tensor { shape: shape.clone(), encoding };
    vec![
        with(Encoding::F16(values.iter().map(|&value| f16::from_f32(value)).collect())),
        with(Encoding::Bf16(values.iter().map(|&value| bf16::from_f32(value)).collect())),
        Tensor::int8(shape.clone(), wide, vec![0.01; outputs]),
        Tensor::int4(shape.clone(), &small, vec![0.1]).expect("codes of four bits"),
        Tensor::sparse_from(shape.clone(), &sparse),
        Tensor::codebook(shape.clone(), vec![-0.5, 0.25], &indices).expect("indices of centroids"),
    ]
}

#[test]
fn every_encoding_runs_as_the_values_it_stands_for() {
    for (inputs, outputs) in SHAPES {
        let input = models::values(7 * inputs, 8);
        for encoding in encodings(inputs, outputs) {
            let dense = Tensor::f32(encoding.shape.clone(), encoding.to_f32());
            let answers = |weights: &Tensor, kernels: Kernels| {
                let model = models::of(Task::Regression, with_weights(weights.clone()));
                let plan = compile_with(&model, kernels).expect("a valid model");
                assert!(plan.describe().contains("f32"), "no quantized input, no integers");
                let mut scratch = Scratch::default();
                let one = run(plan.as_ref(), &input[..inputs], &mut scratch).expect("a finite row");
                let all = run(plan.as_ref(), &input, &mut scratch).expect("finite rows");
                assert_eq!(bits(&all[..outputs]), bits(&one));
                bits(&all)
            };
            let expected = answers(&dense, Kernels::scalar());
            for kernels in Kernels::available() {
                assert!(answers(&encoding, kernels) == expected, "{kernels:?} {inputs}-{outputs}");
            }
        }
    }
}
