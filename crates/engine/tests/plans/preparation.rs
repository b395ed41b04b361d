use leat_engine::{Scratch, compile};
use leat_model::{Preprocessing, Standardise, Task};

use crate::models::{self, bits, run};

fn model(mean: f32, scale: f32) -> leat_model::Model {
    let mut model = models::of(Task::Regression, models::network(&[21, 30, 3], models::real));
    let standardise = Standardise { mean: vec![mean; 21], scale: vec![scale; 21] };
    model.preprocessing = Preprocessing { impute: None, standardise: Some(standardise) };
    model
}

#[test]
fn a_standardisation_that_changes_nothing_is_left_out_and_changes_no_answer() {
    let plain = models::of(Task::Regression, models::network(&[21, 30, 3], models::real));
    let mut input = models::values(40 * 21, 3);
    let odd = [-0.0, 0.0, f32::MIN_POSITIVE, -f32::MIN_POSITIVE / 4.0, 1e30, f32::MAX / 1e9];
    input.iter_mut().step_by(5).zip(odd.into_iter().cycle()).for_each(|(value, odd)| *value = odd);
    let pairs = models::plans(&plain).into_iter().zip(models::plans(&model(0.0, 1.0)));
    for (plain, standardising) in pairs {
        let answers = |plan: &dyn leat_engine::Plan| {
            bits(&run(plan, &input, &mut Scratch::default()).expect("finite rows"))
        };
        assert_eq!(answers(standardising.as_ref()), answers(plain.as_ref()));
        assert_eq!(standardising.bytes(), plain.bytes(), "nothing is kept of it");
    }
}

#[test]
fn a_standardisation_that_changes_something_is_kept() {
    let bytes = |mean, scale| compile(&model(mean, scale)).expect("a valid model").bytes();
    for (mean, scale) in [(-0.0, 1.0), (0.5, 1.0), (0.0, 2.0), (0.0, 1.0_f32.next_up())] {
        assert!(bytes(mean, scale) > bytes(0.0, 1.0), "{mean} {scale}");
    }
}
