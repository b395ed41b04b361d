use leat_model::{Encoding, Preprocessing, Task, blob};
use leat_training::{Assembly, Recipe, Split, Target, build_model, train};
use ndarray::{Array2, Axis};

use super::*;
use crate::{Calibration, ClipMode, Quantize, Scope};

const INT8: Step =
    Step::Quantize(Quantize::Int8 { calibration: Calibration::Mse, per_channel: true, reduce_range: true });

/// Rows on a spiral of three arms, with a missing value in every 50th row when asked for.
fn table(task: Task, missing: bool) -> Dataset {
    let rows = Array2::from_shape_fn((600, 4), |(row, column)| {
        let (arm, along) = (row % 3, (row / 3) as f32 / 200.0);
        let angle = along * 4.0 + arm as f32 * 2.1;
        match column {
            0 => along * angle.cos(),
            1 => along * angle.sin(),
            2 => 5.0 + 2.0 * along,
            _ if missing && row % 50 == 0 => f32::NAN,
            _ => (row as f32 * 0.7).sin(),
        }
    });
    let target = match task {
        Task::Classification => Target::Classes {
            labels: vec!["a".into(), "b".into(), "c".into()],
            indices: (0..600).map(|row| row % 3).collect(),
        },
        Task::Regression => Target::Values(
            rows.map_axis(Axis(1), |row| 100.0 + 20.0 * row[0] * row[1] + row[2]).insert_axis(Axis(1)),
        ),
    };
    let features = ["x", "y", "radius", "noise"].map(str::to_owned).to_vec();
    Dataset { features, rows, target, target_name: "arm".into(), has_missing: missing }
}

fn fitted(data: &Dataset, hidden: &[usize]) -> (Model, Split) {
    let split = data.split(0.25, 1).unwrap();
    let recipe =
        Recipe { hidden: hidden.to_vec(), epochs: 25, learning_rate: 5e-3, ..Recipe::for_task(data.task()) };
    let trained = train(&split.train, &recipe, &mut |_| ControlFlow::Continue(())).unwrap();
    let assembly = Assembly {
        name: "spiral",
        trained,
        train: &split.train,
        held_out: &split.held_out,
        recipe: &recipe,
        held_out_ratio: 0.25,
        data: None,
    };
    (build_model(assembly).unwrap(), split)
}

fn spiral() -> (Model, Split) {
    fitted(&table(Task::Classification, false), &[24, 16])
}

fn data_of(split: &Split) -> CompressionData<'_> {
    CompressionData {
        train: &split.train,
        held_out: &split.held_out,
        seed: 7,
        parent: Some(Digest::of(b"parent")),
        data: None,
    }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn compressed(model: &Model, split: &Split, steps: &[Step]) -> Result<Model, Error> {
    compress(model.clone(), steps, &data_of(split), &mut go_on)
}

fn layers(model: &Model) -> &[leat_model::Dense] {
    &network(model).unwrap().layers
}

#[test]
fn pruned_weights_stay_zero_through_fine_tuning_and_int8() {
    let (model, split) = spiral();
    let steps = [
        Step::Clip { epsilon: 1.5, mode: ClipMode::Clamp },
        Step::Prune(Prune::Rate { rate: 0.6, scope: Scope::Global }),
        Step::FineTune { epochs: 5 },
        INT8,
    ];
    let result = compressed(&model, &split, &steps).unwrap();
    let reports = &result.compression;
    assert_eq!(
        reports.iter().map(|report| report.step.clone()).collect::<Vec<_>>(),
        steps.map(|step| step.to_json().unwrap())
    );
    for layer in layers(&result) {
        let mask = layer.mask.as_ref().unwrap();
        assert!(
            layer
                .weights
                .to_f32()
                .iter()
                .enumerate()
                .all(|(index, &weight)| mask.get(index) || weight == 0.0)
        );
        assert!(layer.input_quantization.is_some());
    }
    let weights: u64 = layers(&model).iter().map(|layer| layer.weights.len() as u64).sum();
    assert_eq!(reports[1].nonzero_after, weights - (weights as f64 * 0.6).round() as u64);
    assert!(reports[3].nonzero_after <= reports[2].nonzero_after);
    assert!(reports[1].parameter_bytes_after < reports[1].parameter_bytes_before);
    assert!(reports[3].parameter_bytes_after < reports[0].parameter_bytes_before / 2);
}

#[test]
fn a_clipped_weight_stays_within_its_bound_through_fine_tuning() {
    let prune = Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 8 });
    for task in [Task::Classification, Task::Regression] {
        let (model, split) = fitted(&table(task, false), &[24, 24]);
        let clip = Step::Clip { epsilon: 0.125, mode: ClipMode::Clamp };
        let result = compressed(&model, &split, &[clip, prune.clone()]).unwrap();
        let largest = result.compression[1].layers.iter().map(|layer| layer.weight_max).fold(0.0, f64::max);
        assert!(largest > 0.0 && largest <= 0.125, "{task:?}: {largest}");
    }
}

#[test]
fn the_lineage_names_the_table_that_was_used_and_a_student_reports_its_own_training() {
    let (model, split) = spiral();
    let other = Digest::of(b"another table");
    let data = CompressionData { data: Some(other.clone()), ..data_of(&split) };
    let pruned = compress(model.clone(), &[Step::Prune(Prune::Threshold(0.01))], &data, &mut go_on).unwrap();
    assert_eq!(pruned.lineage.data, Some(other));
    assert_eq!(pruned.profile, Some(leat_training::reference_profile(&split.train)));
    assert_eq!(pruned.training, model.training);

    let distil = Step::Distil { alpha: 0.9, epochs: 3, hidden: vec![6], temperature: 2.0 };
    let student = compressed(&model, &split, &[distil, Step::Prune(Prune::Threshold(0.01))]).unwrap();
    let report = student.training.unwrap();
    assert_eq!(report.epochs, 3);
    assert_eq!(
        (report.held_out_rows, &report.held_out),
        (split.held_out.len() as u64, &student.compression[0].held_out_after)
    );
    assert_eq!(student.lineage.data, model.lineage.data);
}

#[test]
fn reports_follow_on_each_other_and_describe_every_layer() {
    let (model, split) = spiral();
    let steps = [Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 8 }), INT8];
    let result = compressed(&model, &split, &steps).unwrap();
    let [narrow, int8] = result.compression.as_slice() else { panic!("two reports") };
    assert_eq!(narrow.held_out_before, model.training.as_ref().unwrap().held_out);
    assert_eq!(narrow.held_out_after, int8.held_out_before);
    assert_eq!(narrow.parameter_bytes_after, int8.parameter_bytes_before);
    assert_eq!(int8.held_out_after, evaluate(&result, &split.held_out).unwrap());
    let shapes: Vec<_> = narrow.layers.iter().map(|layer| layer.shape_after.clone()).collect();
    assert_eq!(shapes, [[12, 4], [8, 12], [3, 8]]);
    assert_eq!(narrow.layers[0].shape_before, [24, 4]);
    assert_eq!(narrow.layers[0].changed, 24 * 4, "half is removed and the rest is trained");
    assert_eq!(narrow.layers[0].sqnr_db, None);
    for layer in &int8.layers {
        assert!(layer.sqnr_db.unwrap() > 25.0, "{layer:?}");
        assert!(layer.weight_max > 0.0);
    }
}

#[test]
fn neurons_are_removed_without_touching_the_others_when_nothing_is_tuned() {
    let (model, split) = spiral();
    let result =
        compressed(&model, &split, &[Step::Prune(Prune::L1Neurons { rate: 0.25, fine_tune_epochs: 0 })])
            .unwrap();
    assert_eq!(layers(&result)[0].weights.shape, [18, 4]);
    assert_eq!(layers(&result)[1].weights.shape, [12, 18]);
    assert_eq!(
        result.compression[0].layers.iter().map(|layer| layer.changed).collect::<Vec<_>>(),
        [6 * 4, 16 * 24 - 12 * 18, 3 * 4]
    );
}

#[test]
fn the_same_input_and_seed_give_the_same_bytes() {
    let (model, split) = spiral();
    let steps = [
        Step::Distil { alpha: 0.7, epochs: 4, hidden: vec![12], temperature: 2.0 },
        Step::Prune(Prune::L1Neurons { rate: 0.3, fine_tune_epochs: 4 }),
        Step::Quantize(Quantize::Int8 {
            calibration: Calibration::Percentile(99.9),
            per_channel: false,
            reduce_range: true,
        }),
    ];
    let bytes = |seed| {
        let data = CompressionData { seed, ..data_of(&split) };
        blob::write(&compress(model.clone(), &steps, &data, &mut go_on).unwrap()).unwrap()
    };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
    assert_eq!(blob::write(&blob::read(&bytes(7)).unwrap()).unwrap(), bytes(7));
}

#[test]
fn the_lineage_names_parent_steps_and_seed() {
    let (model, split) = spiral();
    let steps = [Step::Clip { epsilon: 0.5, mode: ClipMode::Literal }];
    let once = compressed(&model, &split, &steps).unwrap();
    let twice = compressed(&once, &split, &[INT8]).unwrap();
    assert_eq!(twice.lineage.parent, Some(Digest::of(b"parent")));
    assert_eq!(twice.lineage.seed, 7);
    assert_eq!(twice.compression.len(), 2);
    let training: serde_json::Value = serde_json::from_str(&model.lineage.recipe).unwrap();
    assert_eq!(crate::training_recipe(&twice.lineage.recipe).unwrap(), training);
}

#[test]
fn q_gives_the_codes_of_the_formula_and_reports_saturation() {
    let (model, split) = spiral();
    let result = compressed(&model, &split, &[Step::Quantize(Quantize::Q(200.0))]).unwrap();
    let mut saturated = 0;
    for ((before, after), report) in
        layers(&model).iter().zip(layers(&result)).zip(&result.compression[0].layers)
    {
        let Encoding::Int8 { codes, scales } = &after.weights.encoding else { panic!("int8") };
        assert_eq!(scales, &[1.0 / 200.0]);
        assert_eq!(after.input_quantization, None);
        let rounded: Vec<f32> =
            before.weights.to_f32().iter().map(|weight| (weight * 200.0).round()).collect();
        assert!(rounded.iter().zip(codes).all(|(&rounded, &code)| rounded as i8 == code));
        let beyond = rounded.iter().filter(|rounded| !(-128.0..=127.0).contains(*rounded)).count() as u64;
        assert_eq!(report.saturated, beyond);
        saturated += beyond;
    }
    assert!(saturated > 0, "the test needs a weight that saturates");
}

#[test]
fn steps_that_cannot_follow_each_other_are_refused_before_any_runs() {
    let (model, split) = spiral();
    let clip = Step::Clip { epsilon: 0.5, mode: ClipMode::Clamp };
    let mut calls = 0;
    let mut refuse = |model: &Model, steps: &[Step]| {
        compress(model.clone(), steps, &data_of(&split), &mut |_| {
            calls += 1;
            ControlFlow::Continue(())
        })
        .unwrap_err()
    };
    for second in [INT8, clip.clone(), Step::FineTune { epochs: 1 }, Step::Prune(Prune::Threshold(0.1))] {
        let error = refuse(&model, &[INT8, second]);
        assert!(matches!(error, Error::AlreadyQuantized { position: 2, encoding: "int8", .. }), "{error}");
    }
    assert!(matches!(refuse(&model, &[]), Error::StepCount { .. }));
    assert!(matches!(refuse(&model, &vec![clip.clone(); 65]), Error::StepCount { given: 65, .. }));
    assert!(matches!(
        refuse(&model, &[clip, Step::FineTune { epochs: 0 }]),
        Error::InvalidStep { position: 2, .. }
    ));
    let quantized = compressed(&model, &split, &[INT8]).unwrap();
    let error = refuse(&quantized, &[INT8]);
    assert!(matches!(error, Error::AlreadyQuantized { position: 1, .. }));
    assert!(error.to_string().contains("float version"), "{error}");
    assert_eq!(calls, 0);
}

#[test]
fn a_quantized_model_can_still_teach() {
    let (model, split) = spiral();
    let steps = [INT8, Step::Distil { alpha: 0.9, epochs: 3, hidden: vec![8], temperature: 3.0 }, INT8];
    let result = compressed(&model, &split, &steps).unwrap();
    assert_eq!(layers(&result).len(), 2);
    assert_eq!(result.compression[1].layers.len(), 3, "layers that went are reported too");
    assert!(result.compression[1].layers[2].shape_after.is_empty());
}

#[test]
fn a_student_that_is_not_smaller_than_its_teacher_is_refused() {
    let (model, split) = spiral();
    let distil =
        |hidden: &[usize]| Step::Distil { alpha: 0.9, epochs: 1, hidden: hidden.to_vec(), temperature: 3.0 };
    for hidden in [&[24, 16][..], &[400]] {
        let error = compressed(&model, &split, &[distil(hidden)]).unwrap_err();
        assert!(matches!(error, Error::StudentNotSmaller { position: 1, teacher: 571, .. }), "{error}");
    }
    compressed(&model, &split, &[distil(&[24, 15])]).unwrap();
}

#[test]
fn a_codebook_model_is_refused_by_name() {
    let (mut model, split) = spiral();
    let Body::Network(network) = &mut model.body else { panic!("network") };
    let weights = &mut network.layers[2].weights;
    *weights = leat_model::Tensor::codebook(weights.shape.clone(), vec![-0.5, 0.5], &vec![1; weights.len()])
        .unwrap();
    let error = compressed(&model, &split, &[INT8]).unwrap_err();
    assert!(matches!(error, Error::AlreadyQuantized { encoding: "codebook", .. }), "{error}");
}

#[test]
fn an_onnx_graph_is_refused() {
    let (mut model, split) = spiral();
    model.body = Body::Onnx(vec![1]);
    assert!(matches!(compressed(&model, &split, &[INT8]), Err(Error::NotANetwork)));
}

#[test]
fn rows_of_another_model_are_refused() {
    let (model, mut split) = spiral();
    split.train.features.swap(0, 1);
    let error = compressed(&model, &split, &[INT8]).unwrap_err();
    assert!(matches!(error, Error::DataMismatch { what: "feature", position: 0, .. }), "{error}");
    split.train.features.swap(0, 1);
    let Target::Classes { labels, .. } = &mut split.train.target else { panic!("classes") };
    labels.push("d".into());
    let error = compressed(&model, &split, &[INT8]).unwrap_err();
    assert!(
        matches!(error, Error::DataMismatch { what: "label", position: 3, expected: None, .. }),
        "{error}"
    );
}

#[test]
fn every_call_of_progress_can_cancel() {
    let (model, split) = spiral();
    let steps = [
        Step::Clip { epsilon: 0.5, mode: ClipMode::Clamp },
        Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 2 }),
        Step::Distil { alpha: 0.5, epochs: 2, hidden: vec![8], temperature: 2.0 },
        INT8,
    ];
    let mut seen = Vec::new();
    compress(model.clone(), &steps, &data_of(&split), &mut |progress| {
        seen.push(progress);
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(seen.iter().all(|progress| progress.done <= progress.total && progress.steps == 4));
    assert!(seen.windows(2).all(|pair| pair[0].step <= pair[1].step));
    for work in [Work::Weights, Work::Calibration, Work::FineTuning, Work::Distillation, Work::Evaluation] {
        assert!(seen.iter().any(|progress| progress.work == work), "{work:?} is reported");
    }
    for stop_at in 0..seen.len() {
        let mut calls = 0;
        let result = compress(model.clone(), &steps, &data_of(&split), &mut |_| {
            calls += 1;
            if calls > stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(calls, stop_at + 1, "nothing goes on after the break");
    }
}

#[test]
fn regression_in_its_own_unit_survives_pruning_and_int8() {
    let (model, split) = fitted(&table(Task::Regression, false), &[32, 32]);
    let steps = [Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 40 }), INT8];
    let result = compressed(&model, &split, &steps).unwrap();
    let (before, after) =
        (result.compression[0].held_out_before["r2"], result.compression[1].held_out_after["r2"]);
    assert!(after > before - 0.03, "{before} {after}");
}

#[test]
fn missing_values_are_imputed_before_calibration() {
    let (model, split) = fitted(&table(Task::Classification, true), &[16]);
    assert!(matches!(&model.preprocessing, Preprocessing { impute: Some(_), .. }));
    compressed(&model, &split, &[Step::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs: 2 }), INT8])
        .unwrap();
}

#[test]
fn weights_that_overflow_are_an_error_and_not_a_model() {
    let (mut model, split) = spiral();
    let Body::Network(network) = &mut model.body else { panic!("network") };
    if let Encoding::F32(values) = &mut network.layers[0].weights.encoding {
        values[0] = 1e30;
    }
    assert!(compressed(&model, &split, &[Step::Clip { epsilon: 1e30, mode: ClipMode::Literal }]).is_err());
}
