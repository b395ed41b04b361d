use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Batch, Error, Plan, Scratch};

/// A share of a batch is worth handing to another thread from so many multiply-adds on: some 100 µs of work, against a few that waking
/// a thread takes.
const SHARE_MIN: usize = 4 << 20;

/// Threads that share the rows of large batches. A row's answer does not depend on the rows beside it, so it does not depend on how
/// many threads there are either.
#[derive(Debug)]
pub struct Team {
    threads: NonZeroUsize,
    /// None for a team of one, which is the caller.
    pool: Option<ThreadPool>,
    /// Working memory that no thread uses at the moment.
    spare: Mutex<Vec<Scratch>>,
}

impl Team {
    /// A team of so many threads, the caller of [`Team::run`] among them.
    ///
    /// # Errors
    /// When the operating system refuses a thread.
    pub fn new(threads: NonZeroUsize) -> Result<Self, Error> {
        let pool = match threads.get() - 1 {
            0 => None,
            others => {
                let pool = ThreadPoolBuilder::new()
                    .num_threads(others)
                    .thread_name(|index| format!("batch {index}"))
                    .build();
                Some(pool.map_err(|error| Error::Threads { reason: error.to_string() })?)
            }
        };
        Ok(Self { threads, pool, spare: Mutex::default() })
    }

    /// Runs a batch, in shares when it is large enough. The answers are those of [`Plan::run`], bit for bit; so is the error.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run(&self, plan: &dyn Plan, batch: Batch<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let work = plan.multiply_adds().saturating_mul(batch.rows);
        let shares = (work / SHARE_MIN).min(self.threads.get()).min(batch.rows);
        match &self.pool {
            Some(pool) if shares > 1 => {
                batch.check(plan.features(), plan.outputs())?;
                let rows = batch.rows.div_ceil(shares);
                let parts = batch.parts(rows, plan);
                self.run_parts(pool, plan, parts, scratch)
            }
            _ => plan.run(batch, scratch),
        }
    }

    fn run_parts<'a>(
        &self,
        pool: &ThreadPool,
        plan: &dyn Plan,
        mut parts: impl Iterator<Item = (usize, Batch<'a>)>,
        scratch: &mut Scratch,
    ) -> Result<(), Error> {
        let failure = Failure::default();
        let first = parts.next();
        pool.in_place_scope(|scope| {
            for (start, part) in parts {
                let failure = &failure;
                scope.spawn(move |_| {
                    let mut scratch = lock(&self.spare).pop().unwrap_or_default();
                    failure.note(start, plan.run(part, &mut scratch));
                    lock(&self.spare).push(scratch);
                });
            }
            if let Some((start, part)) = first {
                failure.note(start, plan.run(part, scratch));
            }
        });
        failure.first()
    }
}

/// The failure with the lowest row, which is the one that a single thread would have met.
#[derive(Default)]
struct Failure(Mutex<Option<(usize, Error)>>);

impl Failure {
    fn note(&self, start: usize, result: Result<(), Error>) {
        let Err(error) = result else { return };
        let mut first = lock(&self.0);
        let is_earlier = first.as_ref().is_none_or(|(other, _)| start < *other);
        if is_earlier {
            *first = Some((start, error));
        }
    }

    fn first(self) -> Result<(), Error> {
        let first = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or(Ok(()), |(start, error)| Err(error.in_block(start)))
    }
}

/// What a thread left behind that panicked is whole: nothing is half done while a lock is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles each value; refuses negative ones.
    struct Doubling;

    impl Plan for Doubling {
        fn features(&self) -> usize {
            1
        }

        fn outputs(&self) -> usize {
            1
        }

        fn multiply_adds(&self) -> usize {
            SHARE_MIN / 4
        }

        fn run(&self, batch: Batch<'_>, _: &mut Scratch) -> Result<(), Error> {
            batch.check(1, 1)?;
            batch.output.iter_mut().zip(batch.input).for_each(|(output, input)| *output = input * 2.0);
            let refused = batch.input.iter().position(|value| *value < 0.0);
            refused.map_or(Ok(()), |row| Err(Error::Overflow { row }))
        }

        fn describe(&self) -> String {
            "doubling".to_owned()
        }
    }

    fn run(threads: usize, input: &[f32]) -> Result<Vec<f32>, Error> {
        let team = Team::new(NonZeroUsize::new(threads).unwrap()).unwrap();
        let mut output = vec![0.0; input.len()];
        let batch = Batch { rows: input.len(), input, output: &mut output };
        team.run(&Doubling, batch, &mut Scratch::default()).map(|()| output)
    }

    #[test]
    fn every_row_is_run_once_whatever_the_number_of_threads() {
        for rows in [0_u16, 1, 7, 8, 9, 31, 100] {
            let input: Vec<f32> = (0..rows).map(f32::from).collect();
            let doubled: Vec<f32> = input.iter().map(|value| value * 2.0).collect();
            for threads in [1, 2, 3, 8] {
                assert_eq!(run(threads, &input).unwrap(), doubled, "{rows} rows, {threads} threads");
            }
        }
    }

    #[test]
    fn the_first_row_that_fails_is_named_whatever_the_number_of_threads() {
        let mut input = vec![1.0; 100];
        input[37] = -1.0;
        input[90] = -1.0;
        for threads in [1, 2, 3, 8] {
            let error = run(threads, &input).unwrap_err();
            assert!(matches!(error, Error::Overflow { row: 37 }), "{threads} threads: {error}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused_before_rows_are_shared() {
        let team = Team::new(NonZeroUsize::new(2).unwrap()).unwrap();
        let batch = Batch { rows: 100, input: &[1.0; 99], output: &mut [0.0; 100] };
        let error = team.run(&Doubling, batch, &mut Scratch::default()).unwrap_err();
        assert!(matches!(error, Error::InputLength { rows: 100, found: 99, .. }), "{error}");
    }
}
