use leat_engine::{Scratch, compile};
use leat_model::{Network, Task, Tensor};

use crate::models::{self, bits, run};

const INPUTS: usize = 13;
const OUTPUTS: usize = 5;

fn with_weights(weights: Tensor) -> Network {
    let mut network = models::network(&[INPUTS, OUTPUTS], models::real);
    network.layers[0].weights = weights;
    network
}

#[test]
fn every_encoding_runs_as_the_values_it_stands_for() {
    let shape = vec![OUTPUTS, INPUTS];
    let values = models::values(INPUTS * OUTPUTS, 4);
    let sparse: Vec<f32> = values.iter().map(|&x| if x > 0.3 { x } else { 0.0 }).collect();
    let indices: Vec<u8> = values.iter().map(|&x| u8::from(x > 0.0)).collect();
    let small: Vec<i8> = values.iter().map(|x| (x * 7.0) as i8).collect();
    let wide: Vec<i8> = values.iter().map(|x| (x * 127.0) as i8).collect();
    let encodings = [
        Tensor::int8(shape.clone(), wide, vec![0.01; OUTPUTS]),
        Tensor::int4(shape.clone(), &small, vec![0.1]).expect("codes of four bits"),
        Tensor::sparse_from(shape.clone(), &sparse),
        Tensor::codebook(shape.clone(), vec![-0.5, 0.25], &indices).expect("indices of centroids"),
    ];
    let input = models::values(7 * INPUTS, 8);
    for encoding in encodings {
        let answers = |weights: Tensor| {
            let plan = compile(&models::of(Task::Regression, with_weights(weights))).expect("a valid model");
            assert!(plan.describe().contains("f32"), "no quantized input, no integers");
            bits(&run(plan.as_ref(), &input, &mut Scratch::default()).expect("finite rows"))
        };
        let dense = Tensor::f32(shape.clone(), encoding.to_f32());
        assert_eq!(answers(encoding), answers(dense));
    }
}
