use std::path::PathBuf;

use clap::Args;
use leat_contract::{AssetRole, Label as LabelMessage, LabelValue, ModelName, RequestId, Scalar};
use leat_service_runtime::unix_ms;

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Tell what the answer to an earlier request should have been.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat label wine --id batch7-0 --value 2\n  \
                        leat label wine --csv rows.csv --column cultivar --id-prefix batch7")]
pub(crate) struct Label {
    /// For example wine.
    model: ModelName,
    /// The id that the request had.
    #[arg(long, requires = "value", required_unless_present = "csv")]
    id: Option<RequestId>,
    /// The truth: a class or a number, or a JSON list with one per row.
    #[arg(long)]
    value: Option<String>,
    /// A CSV file with one row per request, in the order in which they were asked with `leat predict --id-prefix`.
    #[arg(long, value_name = "FILE", conflicts_with = "id", requires = "column", requires = "id_prefix")]
    csv: Option<PathBuf>,
    /// The column with the truth.
    #[arg(long)]
    column: Option<String>,
    /// The prefix of the ids.
    #[arg(long, value_name = "PREFIX")]
    id_prefix: Option<String>,
}

pub(crate) async fn run(global: &GlobalOptions, label: Label) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let labels = label.labels()?;
    for message in &labels {
        send(&session, &label.model, message).await?;
    }
    if session.is_json() {
        return output::json(&serde_json::json!({ "labels": labels.len() }));
    }
    output::line(&format!("{} labels sent", labels.len()));
    Ok(())
}

/// Stores a label; sending the same one again changes nothing.
pub(crate) async fn send(session: &Session, model: &ModelName, label: &LabelMessage) -> Result<(), Error> {
    let payload = serde_json::to_vec(label)
        .map_err(|error| Error::Usage(format!("the label cannot be written: {error}")))?;
    let log = session.storage.event_log(AssetRole::Label);
    log.publish(session.subjects.label(model), None, payload).await?;
    Ok(())
}

impl Label {
    fn labels(&self) -> Result<Vec<LabelMessage>, Error> {
        match (&self.id, &self.value, &self.csv) {
            (Some(id), Some(value), _) => {
                Ok(vec![LabelMessage { request_id: id.clone(), label: parse(value), at: Some(unix_ms()) }])
            }
            (_, _, Some(path)) => self.read_csv(path),
            _ => {
                Err(Error::Usage("give --id and --value, or --csv with --column and --id-prefix".to_owned()))
            }
        }
    }

    fn read_csv(&self, path: &std::path::Path) -> Result<Vec<LabelMessage>, Error> {
        let unreadable = |error: csv::Error| Error::Usage(format!("{}: {error}", path.display()));
        let (Some(column), Some(prefix)) = (&self.column, &self.id_prefix) else {
            return Err(Error::Usage("--csv needs --column and --id-prefix".to_owned()));
        };
        let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
        let place = reader.headers().map_err(unreadable)?.iter().position(|name| name == column);
        let place =
            place.ok_or_else(|| Error::Usage(format!("{} has no column {column}", path.display())))?;
        let mut labels = Vec::new();
        for (number, record) in reader.records().enumerate() {
            let record = record.map_err(unreadable)?;
            let truth = Scalar::Text(record.get(place).unwrap_or_default().trim().to_owned());
            let request_id = format!("{prefix}-{number}").parse()?;
            labels.push(LabelMessage {
                request_id,
                label: LabelValue::One(as_number(truth)),
                at: Some(unix_ms()),
            });
        }
        Ok(labels)
    }
}

/// JSON where it is JSON, else plain text.
fn parse(text: &str) -> LabelValue {
    serde_json::from_str(text).unwrap_or_else(|_| LabelValue::One(Scalar::Text(text.to_owned())))
}

/// A number where it is one, so that it can be compared with what a regression predicted.
fn as_number(truth: Scalar) -> Scalar {
    match &truth {
        Scalar::Text(text) => serde_json::from_str::<Scalar>(text).unwrap_or(truth),
        _ => truth,
    }
}
