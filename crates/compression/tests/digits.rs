//! Real handwritten digits: half of the neurons and all float weights go, the accuracy stays.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helper functions too")]

use std::ops::ControlFlow;

use leat_compression::{Calibration, CompressionData, Prune, Quantize, Step, compress};
use leat_model::{Digest, Model, Task, blob};
use leat_training::{
    Assembly, CsvOptions, Dataset, HELD_OUT_RATIO, Recipe, Split, build_model, evaluate, train,
};

const STEPS: [Step; 2] = [
    Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 30 }),
    Step::Quantize(Quantize::Int8 {
        calibration: Calibration::MinMax,
        per_channel: true,
        reduce_range: true,
    }),
];

fn digits() -> Dataset {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../cli/data/digits.csv");
    let csv = std::fs::read(path).unwrap();
    Dataset::from_csv(&csv, &CsvOptions { target: "digit".into(), task: None }).unwrap()
}

fn trained(data: &Dataset, seed: u64) -> (Model, Split) {
    let split = data.split(HELD_OUT_RATIO, seed).unwrap();
    let recipe = Recipe { hidden: vec![128, 64], seed, ..Recipe::for_task(Task::Classification) };
    let trained = train(&split.train, &recipe, &mut |_| ControlFlow::Continue(())).unwrap();
    let assembly = Assembly {
        name: "digits",
        trained,
        train: &split.train,
        held_out: &split.held_out,
        recipe: &recipe,
        held_out_ratio: HELD_OUT_RATIO,
        data: None,
    };
    (build_model(assembly).unwrap(), split)
}

fn compressed(model: &Model, split: &Split, seed: u64) -> Model {
    let parent = Some(Digest::of(&blob::write(model).unwrap()));
    let data = CompressionData { train: &split.train, held_out: &split.held_out, seed, parent, data: None };
    compress(model.clone(), &STEPS, &data, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn half_the_neurons_and_int8_cost_at_most_half_a_point_and_save_three_quarters_of_the_bytes() {
    let data = digits();
    for seed in 0..4 {
        let (model, split) = trained(&data, seed);
        let result = compressed(&model, &split, seed);
        let accuracy = |model: &Model| evaluate(model, &split.held_out).unwrap()["accuracy"];
        let (before, after) = (accuracy(&model), accuracy(&result));
        assert!(before > 0.96, "seed {seed}: the model to compress has accuracy {before}");
        assert!(after >= before - 0.005, "seed {seed}: accuracy {before} became {after}");
        let (large, small) = (blob::write(&model).unwrap().len(), blob::write(&result).unwrap().len());
        assert!(small * 4 <= large, "seed {seed}: {large} bytes became {small}");
    }
}

#[test]
fn the_compressed_model_runs_on_integers_and_is_the_same_to_the_byte_each_time() {
    let (model, split) = trained(&digits(), 0);
    let result = compressed(&model, &split, 0);
    assert_eq!(blob::write(&result).unwrap(), blob::write(&compressed(&model, &split, 0)).unwrap());
    let description = leat_engine::compile(&result).unwrap().describe();
    assert!(description.contains("int8") && description.contains("64-64-32-10"), "{description}");
}
