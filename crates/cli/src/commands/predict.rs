use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use leat_contract::{Encoding, ModelRef, PredictionsResponse, RequestId, decode, encode};
use leat_messaging::{Headers, Patience};
use serde_json::{Value, json};

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output, rows};

/// Rows of one request, at most; fewer when rows are wide.
const ROWS_PER_REQUEST: usize = 256;
/// What stands around the rows of a request, in bytes, at most.
const ENVELOPE_BYTES: usize = 1024;

/// Ask a deployed model for predictions.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  leat predict wine --csv rows.csv\n  leat predict wine --input '[[13.2, 1.78, …]]'\n  \
                        leat predict wine@2 --csv rows.csv --id-prefix batch7\n  \
                        leat predict wine --csv rows.csv --id-prefix night --async"
)]
pub(crate) struct Predict {
    /// The model for its live route, or one version: wine, wine@2.
    model: ModelRef,
    /// A CSV file with a header. Columns that the model does not know are left out, for example the target.
    #[arg(long, value_name = "FILE", required_unless_present = "input")]
    csv: Option<PathBuf>,
    /// Rows as JSON: [[…], […]], or [{"column": value, …}].
    #[arg(long, value_name = "JSON", conflicts_with = "csv")]
    input: Option<String>,
    /// Give each row a request id, <prefix>-<number>, so that labels can name it.
    #[arg(long, value_name = "PREFIX")]
    id_prefix: Option<String>,
    /// Hand the rows in as durable requests, which are answered some time, also when nobody serves the model now. Prints the ids;
    /// `leat result <id>` shows the answers.
    #[arg(long = "async", requires = "id_prefix")]
    durable: bool,
    /// How long to wait for an answer, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    timeout_ms: u64,
}

/// One prediction as it is printed.
#[derive(Debug, serde::Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<RequestId>,
    version: String,
    prediction: Value,
}

pub(crate) async fn run(global: &GlobalOptions, predict: Predict) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let instances = match (&predict.csv, &predict.input) {
        (Some(path), _) => rows::read_csv(path, &session.metadata(&predict.model).await?)?,
        (None, Some(text)) => rows::parse(text)?,
        (None, None) => return Err(Error::Usage("give rows with --csv or --input".to_owned())),
    };
    if instances.is_empty() {
        return Err(Error::Usage("there are no rows to predict".to_owned()));
    }
    // A label speaks of a whole request, so rows that are to be labelled one by one are asked one by one.
    let rows_per_request = if predict.id_prefix.is_some() { 1 } else { ROWS_PER_REQUEST };
    if predict.durable {
        return hand_in(&session, &predict, &instances).await;
    }
    let subject = session.infer_subject(&predict.model).await?;
    let mut rows = Vec::with_capacity(instances.len());
    let bytes_max = session.connection.payload_bytes_max().saturating_sub(ENVELOPE_BYTES);
    for (number, chunk) in portions(&instances, rows_per_request, bytes_max).into_iter().enumerate() {
        let id = predict.id_prefix.as_ref().map(|prefix| format!("{prefix}-{number}").parse()).transpose()?;
        rows.extend(ask(&session, &subject, chunk, id, predict.timeout_ms).await?);
    }
    print(&session, &rows)
}

/// Hands every row in as a durable request of its own.
async fn hand_in(session: &Session, predict: &Predict, instances: &[Value]) -> Result<(), Error> {
    let ModelRef { name: model, version } = &predict.model;
    if version.is_some() {
        return Err(Error::Usage(
            "durable requests go to the live route: name the model without a version".to_owned(),
        ));
    }
    let queue = session.storage.async_queue(model);
    let prefix = predict.id_prefix.as_deref().unwrap_or_default();
    let mut ids: Vec<RequestId> = Vec::with_capacity(instances.len());
    for (number, row) in instances.iter().enumerate() {
        let id: RequestId = format!("{prefix}-{number}").parse()?;
        let payload = encode(Encoding::Json, &json!({ "id": id, "instances": [row] }))?;
        queue.submit(session.subjects.async_infer(model), &format!("{model}/{id}"), payload).await?;
        ids.push(id);
    }
    if session.is_json() {
        return output::json(&json!({ "accepted": ids }));
    }
    output::line(&format!(
        "{} accepted, {} to {}",
        ids.len(),
        ids.first().map_or("", |id| id.as_str()),
        ids.last().map_or("", |id| id.as_str())
    ));
    Ok(())
}

/// Rows in portions that fit into a request: at most so many rows, and so many bytes as JSON unless one row is larger.
fn portions(instances: &[Value], rows_max: usize, bytes_max: usize) -> Vec<&[Value]> {
    let mut portions = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (place, row) in instances.iter().enumerate() {
        let row_bytes = row.to_string().len() + 1;
        let is_full = place - first == rows_max || bytes + row_bytes > bytes_max;
        if is_full && place > first {
            portions.push(&instances[first..place]);
            (first, bytes) = (place, 0);
        }
        bytes += row_bytes;
    }
    portions.push(&instances[first..]);
    portions
}

async fn ask(
    session: &Session,
    subject: &str,
    instances: &[Value],
    id: Option<RequestId>,
    timeout_ms: u64,
) -> Result<Vec<Row>, Error> {
    let mut request = json!({ "instances": instances, "deadline_ms": timeout_ms });
    if let (Some(id), Some(fields)) = (&id, request.as_object_mut()) {
        fields.insert("id".to_owned(), Value::String(id.to_string()));
    }
    let total = Duration::from_millis(timeout_ms);
    let patience = Patience { attempt: total.min(Duration::from_secs(2)), total };
    let payload = encode(Encoding::Json, &request)?;
    let answer = session.connection.request_idempotent(subject, &Headers::new(), payload, &patience).await?;
    let (response, _) = decode::<PredictionsResponse>(answer.reply.payload())?;
    let version = response.model_version;
    let row = |prediction| Row { id: id.clone(), version: version.clone(), prediction };
    Ok(response.predictions.into_iter().map(row).collect())
}

fn print(session: &Session, rows: &[Row]) -> Result<(), Error> {
    if session.is_json() {
        return output::json(&rows);
    }
    let lines = rows.iter().enumerate().map(|(number, row)| {
        let name = row.id.as_ref().map_or_else(|| number.to_string(), ToString::to_string);
        let (prediction, confidence) = shown(&row.prediction);
        vec![name, prediction, confidence, row.version.clone()]
    });
    output::line(&output::table(&["row", "prediction", "probability", "version"], lines.collect()));
    Ok(())
}

/// The class and how probable it is, or the value.
fn shown(prediction: &Value) -> (String, String) {
    let label = prediction.get("label").and_then(Value::as_str);
    let highest = prediction
        .get("probabilities")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_f64).fold(0.0, f64::max));
    match label {
        Some(label) => (label.to_owned(), highest.map(|share| format!("{share:.4}")).unwrap_or_default()),
        None => (prediction.to_string(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(instances: &[Value], rows_max: usize, bytes_max: usize) -> Vec<usize> {
        portions(instances, rows_max, bytes_max).iter().map(|portion| portion.len()).collect()
    }

    #[test]
    fn portions_hold_no_more_rows_and_bytes_than_a_request_may_have() {
        let rows = vec![json!([1, 2]); 7];
        assert_eq!(lengths(&rows, 3, 1_000), [3, 3, 1]);
        assert_eq!(lengths(&rows, 100, 12), [2, 2, 2, 1], "five bytes a row and a comma");
        assert_eq!(lengths(&rows, 1, 1_000), [1; 7]);
    }

    #[test]
    fn a_row_that_is_too_large_goes_by_itself_and_the_broker_judges_it() {
        assert_eq!(lengths(&[json!([1]), json!("x".repeat(50)), json!([1])], 100, 10), [1, 1, 1]);
    }
}
