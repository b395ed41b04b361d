use leat_model::{Model, Task};
use leat_training::{Dataset, Target, predict};
use ndarray::{Array2, Axis, Zip, concatenate};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Error;

/// Made-up rows for each training row.
const COPIES: usize = 4;
/// Features and outputs (64 MiB) that the set may hold; a larger table gets fewer copies, or none, and needs them less.
const CELLS_MAX: usize = 1 << 24;
/// The stream of random numbers, one that training does not draw from.
const STREAM: u64 = 1 << 33;

/// The training rows, and up to four times as many between them that the teacher answers. A student that has to agree with the
/// teacher there too keeps its decisions on rows that neither has seen (mixup: Zhang et al., 2018; as a transfer set for
/// distillation: Beyer et al., 2022).
pub(crate) fn transfer_set(teacher: &Model, data: &Dataset, seed: u64) -> Result<Dataset, Error> {
    let copies = copies(data.len(), data.features.len() + data.outputs());
    let mut random = random(seed);
    let mut rows = data.rows.clone();
    let mut target = data.target.clone();
    for _ in 0..copies {
        let between = between(&data.rows, &mut random);
        let answers = predict(teacher, between.view())?;
        extend(&mut target, &answers, teacher.task)?;
        rows = concatenate(Axis(0), &[rows.view(), between.view()]).map_err(shape)?;
    }
    Ok(Dataset { rows, target, ..data.clone() })
}

/// How often a table of that many rows and features and outputs together is copied.
fn copies(rows: usize, width: usize) -> usize {
    (CELLS_MAX / rows.saturating_mul(width).max(1)).saturating_sub(1).min(COPIES)
}

/// For each row a point on the way to another one, on the nearer half. Missing values spread to it.
fn between(rows: &Array2<f32>, random: &mut ChaCha8Rng) -> Array2<f32> {
    let mut mixed = rows.clone();
    for mut row in mixed.rows_mut() {
        let other = rows.row(((u128::from(random.next_u64()) * rows.nrows() as u128) >> 64) as usize);
        let share = 0.5 + (random.next_u32() >> 8) as f32 * (0.5 / (1 << 24) as f32);
        Zip::from(&mut row).and(other).for_each(|own, &other| *own = share * *own + (1.0 - share) * other);
    }
    mixed
}

/// Adds the teacher's answers to the truth: its most probable class, or its prediction.
fn extend(target: &mut Target, answers: &Array2<f32>, task: Task) -> Result<(), Error> {
    match (target, task) {
        (Target::Classes { indices, .. }, Task::Classification) => {
            indices.extend(answers.rows().into_iter().map(|row| most_probable(row.iter().copied())));
        }
        (Target::Values(values), _) => {
            *values = concatenate(Axis(0), &[values.view(), answers.view()]).map_err(shape)?;
        }
        (Target::Classes { .. }, Task::Regression) => {
            let (expected, found) = (Task::Regression, Task::Classification);
            return Err(leat_training::Error::Task { expected, found }.into());
        }
    }
    Ok(())
}

fn most_probable(probabilities: impl Iterator<Item = f32>) -> usize {
    let best = probabilities.enumerate().fold((0, f32::NEG_INFINITY), |best, (index, probability)| {
        if probability > best.1 { (index, probability) } else { best }
    });
    best.0
}

fn random(seed: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key.iter_mut().zip(seed.to_le_bytes()).for_each(|(place, byte)| *place = byte);
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(STREAM);
    generator
}

fn shape(error: ndarray::ShapeError) -> Error {
    leat_training::Error::Mismatch(error.to_string()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_rows_lie_between_two_rows_and_nearer_to_their_own() {
        let rows = Array2::from_shape_fn((40, 3), |(row, column)| (row * 3 + column) as f32);
        let mixed = between(&rows, &mut random(5));
        assert_eq!(mixed, between(&rows, &mut random(5)));
        assert_ne!(mixed, between(&rows, &mut random(6)));
        for (own, mixed) in rows.rows().into_iter().zip(mixed.rows()) {
            let nearer = |other: ndarray::ArrayView1<'_, f32>| {
                let distance = (&own - &mixed).mapv(f32::abs).sum();
                distance <= (&other - &mixed).mapv(f32::abs).sum() + 1e-3
            };
            assert!(rows.rows().into_iter().any(nearer));
            assert!(mixed.iter().all(|&value| (0.0..120.0).contains(&value)));
        }
    }

    #[test]
    fn wide_answers_count_as_much_as_wide_rows() {
        assert_eq!(copies(1_000, 20), COPIES);
        assert_eq!(copies(CELLS_MAX / 4_096 / 3, 4 + 4_092), 2);
        assert_eq!(copies(10_000_000, 4 + 4_096), 0);
    }

    #[test]
    fn missing_values_stay_missing() {
        let rows = Array2::from_shape_vec((2, 2), vec![f32::NAN, 1.0, f32::NAN, 2.0]).unwrap();
        let mixed = between(&rows, &mut random(0));
        assert!(mixed.column(0).iter().all(|value| value.is_nan()));
        assert!(mixed.column(1).iter().all(|value| value.is_finite()));
    }

    #[test]
    fn the_first_of_equally_probable_classes_is_taken() {
        assert_eq!(most_probable([0.2, 0.4, 0.4].into_iter()), 1);
    }
}
