//! Several plans that answer as one, on the thread that runs the batch: nothing leaves the worker between them.

use leat_contract::PipelineMode;
use leat_engine::{Aligned, Batch, Error as EngineError, Plan, Scratch};
use leat_model::{Model, Signature, Task};

use crate::Error;

/// A model of a pipeline with its plan.
pub(crate) struct Part {
    pub(crate) content: Model,
    pub(crate) plan: Box<dyn Plan>,
}

/// What a pipeline is to the outside: its plan, the signature of what goes in and comes out, and the task of the answer.
pub(crate) struct Joined {
    pub(crate) plan: Box<dyn Plan>,
    pub(crate) signature: Signature,
    pub(crate) task: Task,
}

/// Joins models, the first of which takes the rows of a request.
///
/// # Errors
/// When they do not fit: other features, other classes, or a vote about numbers.
pub(crate) fn join(mode: PipelineMode, parts: Vec<Part>) -> Result<Joined, Error> {
    match mode {
        PipelineMode::Sequence => check_sequence(&parts)?,
        PipelineMode::Average | PipelineMode::Vote => check_ensemble(mode, &parts)?,
    }
    let unfit = || Error::pipeline("it has no models");
    let (first, last) = (parts.first().ok_or_else(unfit)?, parts.last().ok_or_else(unfit)?);
    let (inputs, features) =
        (first.content.signature.inputs.clone(), first.content.signature.features.clone());
    let signature = Signature { inputs, features, ..last.content.signature.clone() };
    let task = last.content.task;
    let plans = parts.into_iter().map(|part| part.plan).collect();
    Ok(Joined { plan: Box::new(JoinedPlan { mode, plans }), signature, task })
}

fn check_sequence(parts: &[Part]) -> Result<(), Error> {
    for pair in parts.windows(2) {
        let [before, after] = pair else { continue };
        let (gives, takes) = (before.plan.outputs(), after.plan.features());
        if gives != takes {
            let (before, after) = (&before.content.name, &after.content.name);
            return Err(Error::pipeline(format!(
                "{before} gives {gives} values a row, {after} takes {takes}"
            )));
        }
    }
    Ok(())
}

fn check_ensemble(mode: PipelineMode, parts: &[Part]) -> Result<(), Error> {
    let Some((first, others)) = parts.split_first() else { return Ok(()) };
    if mode == PipelineMode::Vote && first.content.task != Task::Classification {
        return Err(Error::pipeline("only classifiers can vote"));
    }
    let is_like_first = |part: &&Part| {
        let (one, other) = (&first.content, &part.content);
        one.task == other.task
            && one.signature.labels == other.signature.labels
            && first.plan.features() == part.plan.features()
            // A column that stands elsewhere, or goes by another name, would be another feature.
            && one.signature.features == other.signature.features
            && first.plan.outputs() == part.plan.outputs()
    };
    match others.iter().find(|part| !is_like_first(part)) {
        Some(part) => {
            let (one, other) = (&first.content.name, &part.content.name);
            Err(Error::pipeline(format!("{one} and {other} differ in their features, classes or task")))
        }
        None => Ok(()),
    }
}

/// Plans that were found to fit.
struct JoinedPlan {
    mode: PipelineMode,
    plans: Vec<Box<dyn Plan>>,
}

impl JoinedPlan {
    fn run_sequence(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), EngineError> {
        let widest = self.plans.iter().map(|plan| plan.outputs()).max().unwrap_or(0);
        let mut between = [(); 2].map(|()| scratch.lend(batch.rows * widest));
        let outcome = self.run_one_after_the_other(batch, &mut between, scratch);
        between.into_iter().for_each(|room| scratch.give_back(room));
        outcome
    }

    /// Each plan reads what the one before it wrote, and writes where that one read.
    fn run_one_after_the_other(
        &self,
        batch: Batch<'_>,
        [values, next]: &mut [Aligned<f32>; 2],
        scratch: &mut Scratch,
    ) -> Result<(), EngineError> {
        let (rows, mut raw) = (batch.rows, Some(batch.input));
        let Some((last, before)) = self.plans.split_last() else { return Ok(()) };
        for plan in before {
            let input = raw.take().unwrap_or_else(|| &values[..rows * plan.features()]);
            plan.run(Batch { rows, input, output: &mut next[..rows * plan.outputs()] }, scratch)?;
            std::mem::swap(values, next);
        }
        let input = raw.unwrap_or_else(|| &values[..rows * last.features()]);
        last.run(Batch { rows, input, output: batch.output }, scratch)
    }

    fn run_ensemble(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), EngineError> {
        let mut room = scratch.lend(batch.rows * self.outputs());
        let outcome = self.run_all(batch, &mut room, scratch);
        scratch.give_back(room);
        outcome
    }

    /// Adds up what each plan says of the same rows.
    fn run_all(&self, batch: Batch<'_>, room: &mut [f32], scratch: &mut Scratch) -> Result<(), EngineError> {
        let (rows, width) = (batch.rows, self.outputs());
        let share = 1.0 / self.plans.len() as f32;
        let output = &mut room[..rows * width];
        batch.output.fill(0.0);
        for plan in &self.plans {
            plan.run(Batch { rows, input: batch.input, output }, scratch)?;
            if self.mode == PipelineMode::Vote {
                output.chunks_exact_mut(width.max(1)).for_each(vote);
            }
            batch.output.iter_mut().zip(&*output).for_each(|(sum, value)| *sum += share * value);
        }
        Ok(())
    }
}

/// Gives everything to the most probable class; of equally probable ones to the first.
fn vote(row: &mut [f32]) {
    let best = row.iter().enumerate().rev().max_by(|left, right| left.1.total_cmp(right.1));
    let best = best.map(|(class, _)| class);
    row.iter_mut().enumerate().for_each(|(class, value)| *value = f32::from(u8::from(Some(class) == best)));
}

impl Plan for JoinedPlan {
    fn features(&self) -> usize {
        self.plans.first().map_or(0, |plan| plan.features())
    }

    fn outputs(&self) -> usize {
        self.plans.last().map_or(0, |plan| plan.outputs())
    }

    fn row_ns(&self) -> f64 {
        self.plans.iter().map(|plan| plan.row_ns()).sum()
    }

    fn bytes(&self) -> usize {
        self.plans.iter().map(|plan| plan.bytes()).sum()
    }

    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), EngineError> {
        batch.run_stages(|batch| match self.mode {
            PipelineMode::Sequence => self.run_sequence(batch, scratch),
            PipelineMode::Average | PipelineMode::Vote => self.run_ensemble(batch, scratch),
        })
    }

    fn describe(&self) -> String {
        let how = match self.mode {
            PipelineMode::Sequence => "sequence",
            PipelineMode::Average => "average",
            PipelineMode::Vote => "vote",
        };
        let parts: Vec<String> = self.plans.iter().map(|plan| plan.describe()).collect();
        format!("{how} of {}", parts.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loaded::tests::{tiny_classifier, tiny_regression};

    fn parts(models: Vec<Model>) -> Vec<Part> {
        let part = |content: Model| Part { plan: leat_engine::compile(&content).unwrap(), content };
        models.into_iter().map(part).collect()
    }

    fn run(mode: PipelineMode, models: Vec<Model>, input: &[f32]) -> Vec<f32> {
        let joined = join(mode, parts(models)).unwrap();
        let rows = input.len() / joined.plan.features();
        let mut output = vec![9.0; rows * joined.plan.outputs()];
        let batch = Batch { rows, input, output: &mut output };
        joined.plan.run(batch, &mut Scratch::default()).unwrap();
        output
    }

    /// A classifier whose weights are turned round, so that it says no when the other says yes.
    fn contrary() -> Model {
        let mut model = tiny_classifier();
        if let leat_model::Body::Network(network) = &mut model.body {
            network.layers[0].weights = leat_model::Tensor::f32(vec![2, 2], vec![0.0, 1.0, 1.0, 0.0]);
        }
        model
    }

    #[test]
    fn a_run_allocates_nothing_once_its_scratch_has_grown() {
        for mode in [PipelineMode::Sequence, PipelineMode::Average, PipelineMode::Vote] {
            let joined = join(mode, parts(vec![tiny_classifier(), contrary(), contrary()])).unwrap();
            let (input, mut scratch) = ([1.0; 16], Scratch::default());
            let mut run = |rows: usize| {
                let (input, output) = (&input[..rows * 2], &mut [0.0; 16][..rows * 2]);
                joined.plan.run(Batch { rows, input, output }, &mut scratch).unwrap();
            };
            run(8);
            assert_eq!(allocation_counter::measure(|| (1..=8).for_each(&mut run)).count_total, 0, "{mode:?}");
        }
    }

    #[test]
    fn what_was_lent_comes_back_when_a_model_fails() {
        let joined = join(PipelineMode::Sequence, parts(vec![tiny_classifier(), contrary()])).unwrap();
        let mut scratch = Scratch::default();
        let mut run = |value: f32| {
            let batch = Batch { rows: 1, input: &[value; 2], output: &mut [0.0; 2] };
            joined.plan.run(batch, &mut scratch).is_ok()
        };
        assert!(run(1.0) && !run(f32::NAN));
        assert_eq!(allocation_counter::measure(|| assert!(run(1.0))).count_total, 0);
    }

    #[test]
    fn an_average_is_the_mean_of_all() {
        let models = vec![tiny_regression(1.0), tiny_regression(2.0), tiny_regression(6.0)];
        assert_eq!(run(PipelineMode::Average, models, &[1.0, 2.0, 0.0, 1.0]), [15.0, 6.0]);
    }

    #[test]
    fn a_vote_counts_classes_and_not_how_probable_they_are() {
        let models = vec![tiny_classifier(), tiny_classifier(), contrary()];
        let shares = run(PipelineMode::Vote, models, &[0.0, 9.0]);
        assert!((shares[0] - 1.0 / 3.0).abs() < 1e-6 && (shares[1] - 2.0 / 3.0).abs() < 1e-6, "{shares:?}");
    }

    #[test]
    fn a_sequence_gives_what_the_last_one_makes_of_the_others() {
        // Probabilities of two classes add up to one: scale × (no + 2 yes).
        let answer =
            run(PipelineMode::Sequence, vec![tiny_classifier(), tiny_regression(10.0)], &[0.0, 40.0]);
        assert!((answer[0] - 20.0).abs() < 1e-4, "{answer:?}");
        let joined =
            join(PipelineMode::Sequence, parts(vec![tiny_classifier(), tiny_regression(1.0)])).unwrap();
        assert_eq!((joined.task, joined.signature.features.len()), (Task::Regression, 2));
        assert_eq!(joined.signature.outputs[0].name, "prediction");
    }

    #[test]
    fn the_first_of_a_sequence_may_take_longer_rows_than_any_gives() {
        let mut narrow = tiny_regression(3.0);
        narrow.signature = Signature::of_network(Task::Regression, vec!["a".into()], vec!["value".into()]);
        if let leat_model::Body::Network(network) = &mut narrow.body {
            network.layers[0].weights = leat_model::Tensor::f32(vec![1, 1], vec![3.0]);
        }
        let models = vec![tiny_regression(1.0), narrow];
        assert_eq!(run(PipelineMode::Sequence, models, &[1.0, 2.0, 0.0, 1.0]), [15.0, 6.0]);
    }

    #[test]
    fn the_first_row_that_fails_is_named_whichever_model_refuses_it() {
        // The second model overflows unless the first one is sure of the first class.
        let mut second = tiny_regression(f32::MAX / 2.0);
        if let leat_model::Body::Network(network) = &mut second.body {
            network.layers[0].bias = vec![f32::MAX / 2.0];
        }
        let joined = join(PipelineMode::Sequence, parts(vec![tiny_classifier(), second])).unwrap();
        let input = [900.0, 0.0, 0.0, 9.0, 900.0, 0.0, f32::NAN, 0.0];
        let batch = Batch { rows: 4, input: &input, output: &mut [0.0; 4] };
        let error = joined.plan.run(batch, &mut Scratch::default()).unwrap_err();
        assert!(matches!(error, EngineError::Overflow { row: 1 }), "{error}");
    }

    #[test]
    fn models_that_do_not_fit_are_refused() {
        let refused = |mode, models| join(mode, parts(models)).err().unwrap().to_string();
        let text = refused(PipelineMode::Sequence, vec![tiny_regression(1.0), tiny_regression(1.0)]);
        assert!(text.contains("gives 1 values a row"), "{text}");
        let text = refused(PipelineMode::Average, vec![tiny_regression(1.0), tiny_classifier()]);
        assert!(text.contains("differ"), "{text}");
        let mut turned = tiny_regression(1.0);
        turned.signature.features.reverse();
        let text = refused(PipelineMode::Average, vec![tiny_regression(1.0), turned]);
        assert!(text.contains("differ in their features"), "{text}");
        let text = refused(PipelineMode::Vote, vec![tiny_regression(1.0), tiny_regression(1.0)]);
        assert!(text.contains("vote"), "{text}");
    }
}
