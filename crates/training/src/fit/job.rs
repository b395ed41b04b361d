use leat_model::Digest;

use crate::{Dataset, Error, Recipe, Target, Teacher};

/// What training begins with beside data and recipe.
pub(super) struct Start<'a> {
    pub(super) parameters: &'a [f32],
    pub(super) frozen: &'a [usize],
    pub(super) teacher: Option<&'a Teacher>,
}

/// A digest of everything that decides the outcome of a job: rows, names, target, recipe, first parameters and teacher.
pub(super) fn digest(data: &Dataset, recipe: &Recipe, start: &Start<'_>) -> Result<Digest, Error> {
    let mut bytes = recipe.to_json()?.into_bytes();
    let mut append = |part: &[u8]| {
        // The length before each part keeps two different jobs from having the same bytes.
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    };
    append(data.target_name.as_bytes());
    data.features.iter().for_each(|name| append(name.as_bytes()));
    append(&little_endian(data.rows.iter()));
    match &data.target {
        Target::Values(values) => append(&little_endian(values.iter())),
        Target::Classes { labels, indices } => {
            labels.iter().for_each(|label| append(label.as_bytes()));
            append(&positions(indices));
        }
    }
    append(&little_endian(start.parameters.iter()));
    append(&positions(start.frozen));
    if let Some(Teacher { outputs, temperature, alpha }) = start.teacher {
        append(&little_endian(outputs.iter().chain([temperature, alpha])));
    }
    Ok(Digest::of(&bytes))
}

fn little_endian<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}

fn positions(positions: &[usize]) -> Vec<u8> {
    positions.iter().flat_map(|&position| (position as u64).to_le_bytes()).collect()
}
