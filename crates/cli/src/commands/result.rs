use clap::Args;
use leat_contract::{AssetRole, InferResponse, PredictionsResponse, RequestId, decode};
use serde_json::{Value, json};

use crate::arguments::GlobalOptions;
use crate::session::Session;
use crate::{Error, output};

/// Look up the answer to a durable request (`leat predict --async`). Answers are kept for an hour.
#[derive(Debug, Args)]
#[command(after_help = "Example: leat result monday-0")]
pub(crate) struct ResultOf {
    /// The id of the request.
    id: RequestId,
}

pub(crate) async fn run(global: &GlobalOptions, wanted: ResultOf) -> Result<(), Error> {
    let session = Session::open(global).await?;
    match answer(&session, &wanted.id).await? {
        Some(document) if session.is_json() => output::json(&document),
        Some(document) => {
            output::line(&document.to_string());
            Ok(())
        }
        None => Err(Error::Unknown {
            what: "answer to the request",
            name: wanted.id.to_string(),
            hint: "it may not be answered yet, and answers are kept for an hour; `leat dead ls` shows requests that were given up".to_owned(),
        }),
    }
}

/// The answer to a durable request, none when there is none yet.
///
/// # Errors
/// When the answer is an error.
pub(crate) async fn answer(session: &Session, id: &RequestId) -> Result<Option<Value>, Error> {
    let log = session.storage.event_log(AssetRole::Results);
    let Some(reply) = log.last_reply(&session.subjects.result(id)).await? else { return Ok(None) };
    if let Ok((predictions, _)) = decode::<PredictionsResponse>(reply.payload()) {
        return Ok(Some(json!({
            "id": id,
            "version": predictions.model_version,
            "predictions": predictions.predictions,
        })));
    }
    let (response, _) = InferResponse::decode(reply.payload())?;
    let outputs = serde_json::to_value(&response.outputs).map_err(|error| Error::Usage(error.to_string()))?;
    Ok(Some(json!({ "id": id, "version": response.model_version, "outputs": outputs })))
}
