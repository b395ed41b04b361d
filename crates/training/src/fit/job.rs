use leat_model::Digest;

use crate::{Dataset, Error, Recipe, Target};

/// A digest of everything that decides the outcome of a job: rows, names, target and recipe.
pub(super) fn digest(data: &Dataset, recipe: &Recipe) -> Result<Digest, Error> {
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
            append(&indices.iter().flat_map(|&index| (index as u64).to_le_bytes()).collect::<Vec<u8>>());
        }
    }
    Ok(Digest::of(&bytes))
}

fn little_endian<'a>(values: impl Iterator<Item = &'a f32>) -> Vec<u8> {
    values.flat_map(|value| value.to_le_bytes()).collect()
}
