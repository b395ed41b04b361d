use std::time::Duration;

use leat_contract::{ModelMetadata, ModelName, ModelRef, Subjects};
use leat_load::{HttpTarget, NatsTarget, ServerTimes, Target};
use leat_messaging::ConnectOptions;
use serde::Deserialize;

use super::options::{Bench, Via};
use crate::Error;
use crate::arguments::GlobalOptions;
use crate::session::{DEFAULT_URL, Session};

const METADATA_TIMEOUT: Duration = Duration::from_secs(5);

/// What is asked, and what is known of it.
pub(super) struct Server {
    pub(super) target: Target,
    pub(super) metadata: ModelMetadata,
    /// What the workers say, where the broker is at hand.
    pub(super) times: Option<ServerTimes>,
}

impl Server {
    /// Finds out what the model takes, over the same way that requests will go.
    ///
    /// # Errors
    /// When there is no broker or gateway, or nobody serves the model or its version.
    pub(super) async fn reach(global: &GlobalOptions, bench: &Bench) -> Result<Self, Error> {
        match bench.via {
            Via::Nats => Self::over_nats(global, bench).await,
            Via::Http => Self::over_http(&bench.url, &bench.model).await,
        }
    }

    async fn over_nats(global: &GlobalOptions, bench: &Bench) -> Result<Self, Error> {
        let session = Session::open(global).await?;
        let subject = session.infer_subject(&bench.model).await?;
        let metadata = session.metadata(&bench.model).await?;
        let url = global.nats_url.as_deref().unwrap_or(DEFAULT_URL);
        let options = ConnectOptions::new(url, "leat-bench");
        let target = NatsTarget::connect(&options, bench.nats_connections(), subject).await?;
        let Session { connection, subjects, .. } = session;
        let times = listen(&connection, &subjects, &bench.model.name).await?;
        Ok(Self { target: Target::Nats(target), metadata, times: Some(times) })
    }

    async fn over_http(url: &str, model: &ModelRef) -> Result<Self, Error> {
        let version =
            model.version.as_ref().map(|version| format!("/versions/{version}")).unwrap_or_default();
        let path = format!("/v2/models/{}{version}", model.name);
        let target = Target::Http(HttpTarget::new(url, format!("{path}/infer"))?);
        let hint = "is the gateway there? `leat up` starts one, and --url names it";
        let mut caller = target
            .caller(METADATA_TIMEOUT)
            .await
            .map_err(|error| Error::Usage(format!("{error}\n{hint}")))?;
        let document = caller.get(&path).await.map_err(|failure| Error::Unknown {
            what: "model at the gateway",
            name: format!("{model} ({failure})"),
            hint: "`leat status` shows what is deployed".to_owned(),
        })?;
        let described: Described = leat_contract::decode_json(&document)?;
        Ok(Self { target, metadata: described.into_metadata(), times: None })
    }
}

async fn listen(
    connection: &leat_messaging::Connection,
    subjects: &Subjects,
    model: &ModelName,
) -> Result<ServerTimes, Error> {
    Ok(ServerTimes::listen(connection, subjects, model.clone()).await?)
}

/// What a gateway says of a model.
#[derive(Deserialize)]
struct Described {
    name: ModelName,
    versions: Vec<String>,
    platform: String,
    inputs: Vec<leat_contract::TensorMetadata>,
    outputs: Vec<leat_contract::TensorMetadata>,
}

impl Described {
    fn into_metadata(self) -> ModelMetadata {
        let Self { name, versions, platform, inputs, outputs } = self;
        let (labels, features) = (Vec::new(), Vec::new());
        ModelMetadata {
            name,
            versions,
            version: None,
            platform,
            inputs,
            outputs,
            labels,
            features,
            example: serde_json::Value::Null,
        }
    }
}
