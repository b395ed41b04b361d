//! Before anything is timed: the same rows have the same class and the same probabilities everywhere.

use leat_contract::{InferResponse, TensorData};

use super::lane::{Lane, TIMEOUT};
use crate::Error;
use crate::arguments::Server;

/// How far a probability may be off: products are summed in another order, and JSON has no more digits than it writes.
const TOLERANCE: f32 = 1e-4;

/// The answer to one row.
#[derive(Debug)]
struct Answer {
    label: String,
    probabilities: Vec<f32>,
}

/// Asks everybody but the echo about every row.
///
/// # Errors
/// [`Error::Answer`] for the first row in which somebody differs from the first who was asked, or gives what is no answer.
pub(super) async fn check(lanes: &[Lane]) -> Result<(), Error> {
    let mut first: Option<Vec<Answer>> = None;
    for lane in lanes.iter().filter(|lane| lane.server != Server::Echo) {
        let answers = answers(lane).await?;
        match &first {
            None => first = Some(answers),
            Some(first) => {
                for (row, (expected, found)) in first.iter().zip(&answers).enumerate() {
                    let disagrees = |reason| Error::Answer { contender: lane.name(), row, reason };
                    compare(expected, found).map_err(disagrees)?;
                }
            }
        }
    }
    Ok(())
}

async fn answers(lane: &Lane) -> Result<Vec<Answer>, Error> {
    let mut caller = lane.target.caller(TIMEOUT).await?;
    let mut answers = Vec::with_capacity(lane.requests.len());
    for (row, request) in lane.requests.iter().enumerate() {
        let fails = |reason| Error::Answer { contender: lane.name(), row, reason };
        let body = caller.call(request.clone()).await.map_err(|failure| fails(failure.to_string()))?;
        answers.push(Answer::read(&body).map_err(fails)?);
    }
    Ok(answers)
}

impl Answer {
    fn read(body: &[u8]) -> Result<Self, String> {
        let (response, _) = InferResponse::decode(body).map_err(|error| error.to_string())?;
        let data = |name| response.output(name).map(|tensor| tensor.data.clone());
        match (data("probabilities"), data("label")) {
            (Some(TensorData::Fp32(probabilities)), Some(TensorData::Bytes(labels))) => {
                Ok(Self { label: labels.concat(), probabilities })
            }
            _ => Err(format!("the outputs are not probabilities and label: {:?}", response.outputs)),
        }
    }
}

fn compare(expected: &Answer, found: &Answer) -> Result<(), String> {
    if expected.label != found.label {
        return Err(format!("class {} instead of {}", found.label, expected.label));
    }
    let distances =
        expected.probabilities.iter().zip(&found.probabilities).map(|(one, other)| (one - other).abs());
    let distance = distances.fold(0.0, f32::max);
    let is_alike = expected.probabilities.len() == found.probabilities.len() && distance <= TOLERANCE;
    if is_alike { Ok(()) } else { Err(format!("probabilities are up to {distance} away")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(label: &str, probabilities: &[f32]) -> Answer {
        Answer { label: label.to_owned(), probabilities: probabilities.to_vec() }
    }

    #[test]
    fn another_class_another_length_and_far_probabilities_are_disagreements() {
        let ours = answer("1", &[0.25, 0.75]);
        assert!(compare(&ours, &answer("1", &[0.25001, 0.74999])).is_ok());
        for other in [answer("0", &[0.25, 0.75]), answer("1", &[0.25]), answer("1", &[0.26, 0.74])] {
            assert!(compare(&ours, &other).is_err(), "{other:?}");
        }
    }
}
