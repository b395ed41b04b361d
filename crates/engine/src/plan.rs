use crate::{Error, Scratch};

/// A model that is ready to run.
pub trait Plan: Send + Sync {
    /// The length of a raw row.
    fn features(&self) -> usize;

    /// The length of an output row: one value per target, or one probability per class.
    fn outputs(&self) -> usize;

    /// About how much work a row is: the multiplications of its products, those with zeros included.
    fn multiply_adds(&self) -> usize;

    /// Runs a batch. The answer for a row does not depend on the rows beside it. An empty batch is no error.
    ///
    /// # Errors
    /// When the lengths do not fit, a feature is not finite, or a prediction overflows. What the output holds is then unspecified.
    fn run(&self, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error>;

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
