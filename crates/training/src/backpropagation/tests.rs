use super::*;
use crate::fixtures::{self, assert_close};

#[test]
fn losses_and_gradients_are_those_of_pytorch() {
    for case in fixtures::gradients() {
        let parameters = case.parameters();
        let mut workspace = Workspace::new(&parameters, 7);
        let rows: Vec<usize> = (0..7).collect();
        let loss = workspace.loss_and_gradient(&parameters, &case.objective(), &case.inputs(), &rows);
        let name = format!("{:?} {}", case.activation, case.loss);
        assert!(
            (loss - case.value).abs() < 1e-6 * case.value.max(1.0),
            "{name}: {loss} against {}",
            case.value
        );
        assert_close(&workspace.gradient, &case.gradient, 2e-6);
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for case in fixtures::gradients() {
        let mut parameters = case.parameters();
        let (objective, inputs, rows) = (case.objective(), case.inputs(), (0..7).collect::<Vec<_>>());
        let mut workspace = Workspace::new(&parameters, 7);
        workspace.loss_and_gradient(&parameters, &objective, &inputs, &rows);
        let gradient = workspace.gradient.clone();
        for (position, slope) in gradient.iter().enumerate() {
            let original = parameters.values[position];
            let mut loss_at = |value: f32| {
                parameters.values[position] = value;
                workspace.loss(&parameters, &objective, &inputs, &rows)
            };
            let step = 2e-3;
            let difference = (loss_at(original + step) - loss_at(original - step)) / f64::from(2.0 * step);
            parameters.values[position] = original;
            let distance = (f64::from(*slope) - difference).abs();
            assert!(
                distance < 5e-3 * difference.abs().max(1.0),
                "{:?} {} parameter {position}: {slope} against {difference}",
                case.activation,
                case.loss
            );
        }
    }
}

#[test]
fn a_batch_in_chunks_has_the_gradient_of_the_whole() {
    let case = &fixtures::gradients()[0];
    let parameters = case.parameters();
    let rows: Vec<usize> = (0..7).collect();
    let gradient_with = |capacity| {
        let mut workspace = Workspace::new(&parameters, capacity);
        let loss = workspace.loss_and_gradient(&parameters, &case.objective(), &case.inputs(), &rows);
        (loss, workspace.gradient)
    };
    let (whole, chunked) = (gradient_with(7), gradient_with(3));
    assert!((whole.0 - chunked.0).abs() < 1e-6);
    assert_close(&chunked.1, &whole.1, 1e-6);
}
