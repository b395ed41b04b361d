//! From a decoded request to the rows of a batch.

use leat_contract::{InferRequest, Instances, PlainRequest, RequestBody, RequestedOutput};

use crate::Error;
use crate::loaded::LoadedVersion;

/// Which outputs a reply has, as places in the signature of the model. None means all of them.
pub(crate) type Selection = Option<Vec<usize>>;

/// The outputs that a request asks for.
///
/// # Errors
/// For a name that the model does not have.
pub(crate) fn selection(body: &RequestBody, version: &LoadedVersion) -> Result<Selection, Error> {
    let RequestBody::Tensors { outputs: Some(asked), .. } = body else { return Ok(None) };
    if asked.is_empty() {
        return Ok(None);
    }
    let outputs = &version.signature.outputs;
    let place_of = |asked: &RequestedOutput| {
        outputs.iter().position(|output| output.name == asked.name).ok_or_else(|| {
            let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
            Error::request(format!("the model has no output {:?}, only {}", asked.name, names.join(", ")))
        })
    };
    asked.iter().map(place_of).collect::<Result<_, _>>().map(Some)
}

/// Appends the rows of a request to a batch and gives how many there are. On an error the batch is as it was before.
///
/// # Errors
/// For anything that is no input of this version: another tensor, width, column or type, too many rows, a value that is
/// infinite, or missing where the model has nothing to put in its place.
pub(crate) fn append(
    mut request: InferRequest,
    version: &LoadedVersion,
    rows_max: usize,
    batch: &mut Vec<f32>,
) -> Result<usize, Error> {
    let rows = request.rows();
    if rows == 0 {
        return Err(Error::request("the request has no rows"));
    }
    if rows > rows_max {
        return Err(Error::BatchTooLarge { rows, rows_max });
    }
    if version.imputes
        && let RequestBody::Instances(Instances::Table { columns, cells }) = &mut request.body
    {
        add_missing_columns(columns, cells, &version.signature.features);
    }
    let input = version.signature.inputs.first().map_or("input", |input| input.name.as_str());
    let values = request.into_rows(input, &version.signature.features)?.values;
    check_finite(&values, version)?;
    batch.extend_from_slice(&values);
    Ok(rows)
}

/// Puts the rows of a plain request behind those of a batch, and gives how many they are. None, and nothing is put there, for rows that
/// [`append`] does not take as they are.
pub(crate) fn append_plain(
    plain: &PlainRequest<'_>,
    version: &LoadedVersion,
    rows_max: usize,
    batch: &mut Vec<f32>,
) -> Option<usize> {
    let is_input = version.signature.inputs.first().is_some_and(|input| input.name == plain.input);
    let fits = plain.width == version.signature.features.len() && plain.rows <= rows_max;
    if !is_input || !fits {
        return None;
    }
    let first = batch.len();
    batch.extend(plain.values());
    let are_taken = check_finite(batch.get(first..).unwrap_or_default(), version).is_ok();
    if !are_taken {
        batch.truncate(first);
    }
    are_taken.then_some(plain.rows)
}

/// A model that imputes takes an absent column as one whose values are all missing.
fn add_missing_columns(
    columns: &mut Vec<String>,
    cells: &mut Vec<Option<leat_contract::Scalar>>,
    features: &[String],
) {
    let absent: Vec<String> = features.iter().filter(|feature| !columns.contains(feature)).cloned().collect();
    if absent.is_empty() || columns.is_empty() {
        return;
    }
    let width = columns.len();
    let widened = cells.chunks(width).flat_map(|row| {
        let missing = std::iter::repeat_n(None, absent.len());
        row.iter().cloned().chain(missing)
    });
    *cells = widened.collect();
    columns.extend(absent);
}

/// The engine would refuse the whole batch, so each request answers for its own values here.
fn check_finite(values: &[f32], version: &LoadedVersion) -> Result<(), Error> {
    let is_taken = |value: &f32| value.is_finite() || (value.is_nan() && version.imputes);
    let Some(place) = values.iter().position(|value| !is_taken(value)) else { return Ok(()) };
    let width = version.plan.features().max(1);
    let (row, feature) = (place / width, place % width);
    let name = version.signature.features.get(feature).map_or("", String::as_str);
    let found = if values.get(place).is_some_and(|value| value.is_nan()) {
        "missing or not a number, and the model has no value to put in its place"
    } else {
        "infinite"
    };
    Err(Error::request(format!("feature {name:?} of row {row} is {found}")))
}

#[cfg(test)]
mod tests;
