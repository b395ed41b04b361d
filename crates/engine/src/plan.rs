use crate::{Divisible, Error, Scratch};

/// A model that is ready to run.
pub trait Plan: Send + Sync {
    /// The length of a raw row.
    fn features(&self) -> usize;

    /// The length of an output row: one value per target, or one probability per class.
    fn outputs(&self) -> usize;

    /// About how long a row of a batch takes on one thread, in nanoseconds, as it was measured when the plan was made.
    fn row_ns(&self) -> f64;

    /// How many bytes of memory the plan holds, but for a few: the weights as they are packed, in every way they are stored.
    fn bytes(&self) -> usize;

    /// Runs a batch. The answer for a row does not depend on the rows beside it. An empty batch is no error.
    ///
    /// # Errors
    /// When the lengths do not fit, a feature is not finite, or a prediction overflows; where several rows fail, the error is that of the
    /// first of them. What the output holds is then unspecified.
    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error>;

    /// The plan as one whose layers can be shared by threads; none when no layer is worth it.
    fn divisible(&self) -> Option<&dyn Divisible> {
        None
    }

    /// What runs, in a few words, for example `native avx2 f32 64-128-64-10`.
    fn describe(&self) -> String;
}

/// Rows that go in and the place for the rows that come out.
#[derive(Debug)]
pub struct Batch<'a> {
    /// How many rows there are.
    pub rows: usize,
    /// `[rows, features]`, raw.
    pub input: &'a [f32],
    /// `[rows, outputs]`.
    pub output: &'a mut [f32],
}

impl<'a> Batch<'a> {
    /// The batch in parts of `rows` rows, each with its first row. Its lengths were checked.
    pub(crate) fn parts(self, rows: usize, plan: &dyn Plan) -> impl Iterator<Item = (usize, Batch<'a>)> {
        let (features, outputs) = (plan.features(), plan.outputs());
        let input = self.input.chunks(rows * features);
        let output = self.output.chunks_mut(rows * outputs);
        input.zip(output).enumerate().map(move |(index, (input, output))| {
            (index * rows, Batch { rows: input.len() / features, input, output })
        })
    }

    /// Runs stages through each of which all rows go together, and gives the error of the first row that fails.
    ///
    /// A stage that refuses a row hides what later stages would say about earlier rows. Those rows are therefore run again, so that the
    /// error does not depend on how rows are put together.
    ///
    /// # Errors
    /// As the stages, which count rows from the start of the batch.
    pub fn run_stages(mut self, mut stages: impl FnMut(Batch<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let mut rows = self.rows;
        let mut outcome = stages(Batch { rows, input: self.input, output: self.output });
        while let Err(error) = &outcome
            && let Some(row) = error.row().filter(|&row| 0 < row && row < rows)
        {
            rows = row;
            match stages(self.first(rows)) {
                Ok(()) => break,
                earlier => outcome = earlier,
            }
        }
        outcome
    }

    /// The rows before row `start`, and those from it on. Its lengths were checked.
    pub(crate) fn split_at(self, start: usize) -> (Batch<'a>, Batch<'a>) {
        let part = |len: usize| len / self.rows.max(1) * start;
        let (input, beyond) = self.input.split_at(part(self.input.len()));
        let (output, place) = self.output.split_at_mut(part(self.output.len()));
        let before = Batch { rows: start, input, output };
        (before, Batch { rows: self.rows - start, input: beyond, output: place })
    }

    /// The first of its rows. Its lengths were checked.
    fn first(&mut self, rows: usize) -> Batch<'_> {
        Batch { rows: self.rows, input: self.input, output: self.output }.split_at(rows).0
    }

    /// Checks that input and output hold exactly `rows` rows of these lengths.
    pub(crate) fn check(&self, features: usize, outputs: usize) -> Result<(), Error> {
        let Self { rows, .. } = *self;
        let (given, place) = (self.input.len(), self.output.len());
        if rows.checked_mul(features) != Some(given) {
            return Err(Error::InputLength { rows, features, found: given });
        }
        if rows.checked_mul(outputs) != Some(place) {
            return Err(Error::OutputLength { rows, outputs, found: place });
        }
        Ok(())
    }
}
