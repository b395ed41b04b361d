use std::num::NonZeroUsize;

use leat_engine::{Batch, Scratch, Team, compile};
use leat_model::Task;

use crate::models::{self, bits, run};

#[test]
fn answers_have_the_same_bits_however_many_threads_share_a_batch() {
    for layer in [models::real, models::integer] {
        let model = models::of(Task::Classification, models::network(&[300, 400, 200, 10], layer));
        let plan = compile(&model).expect("a valid model");
        let input = models::values(300 * 301, 5);
        let expected = bits(&run(plan.as_ref(), &input, &mut Scratch::default()).expect("finite rows"));
        for threads in 1..=4 {
            let team = Team::new(NonZeroUsize::new(threads).expect("at least one")).expect("threads");
            let mut output = vec![0.0; 301 * 10];
            let batch = Batch { rows: 301, input: &input, output: &mut output };
            team.run(plan.as_ref(), batch, &mut Scratch::default()).expect("finite rows");
            assert_eq!(bits(&output), expected, "{threads} threads");
        }
    }
}
