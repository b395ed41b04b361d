//! A service that answers with what it was asked, and can be told to misbehave.

use std::convert::Infallible;

use leat_contract::{ModelName, subjects::QUEUE_GROUP};
use leat_messaging::{Message, Subscription};
use leat_service_runtime::{Context, Invalid, Service, Validate};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tracing::{Instrument, info_span};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EchoSettings {
    pub(crate) misbehaviour: Misbehaviour,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Misbehaviour {
    #[default]
    None,
    /// Does not notice that it should stop.
    Deaf,
    /// Fails once it is started.
    Error,
    /// Panics once it is started.
    Panic,
    /// Returns although nobody asked it to.
    Leave,
    /// Starts a task that fails.
    TaskError,
    /// Starts a task that does not end when it should.
    StuckTask,
}

impl Validate for EchoSettings {
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

pub(crate) struct Echo {
    pub(crate) misbehaviour: Misbehaviour,
    /// Tells the test what the service was handed.
    pub(crate) started: Option<oneshot::Sender<Context>>,
}

impl Echo {
    pub(crate) fn new(misbehaviour: Misbehaviour) -> (Self, oneshot::Receiver<Context>) {
        let (started, context) = oneshot::channel();
        (Self { misbehaviour, started: Some(started) }, context)
    }
}

pub(crate) fn model() -> ModelName {
    "echo".parse().unwrap()
}

impl Service for Echo {
    type Settings = EchoSettings;
    type Error = String;

    const NAME: &'static str = "echo";

    async fn run(self, context: Context) -> Result<(), String> {
        let subject = context.subjects.infer(&model());
        let requests = context.connections.ingest.queue_subscribe(subject, QUEUE_GROUP).await;
        let requests = requests.map_err(|error| error.to_string())?;
        context
            .connections
            .ingest
            .round_trip(crate::broker::PATIENCE)
            .await
            .map_err(|error| error.to_string())?;
        context.readiness.set_ready();
        if let Some(started) = self.started {
            let _ = started.send(context.clone());
        }
        match self.misbehaviour {
            Misbehaviour::None => {}
            Misbehaviour::Deaf => std::future::pending().await,
            Misbehaviour::Error => return Err("the mill is broken".to_owned()),
            Misbehaviour::Panic => panic!("the wheel came off"),
            Misbehaviour::Leave => return Ok(()),
            Misbehaviour::TaskError => context.tasks.spawn("grind", async { Err("no grain") }),
            Misbehaviour::StuckTask => {
                context.tasks.spawn("grind", std::future::pending::<Result<(), Infallible>>())
            }
        }
        answer(requests, &context).await.map_err(|error| error.to_string())
    }
}

/// Answers until shutdown, then everything that had arrived.
async fn answer(mut requests: Subscription, context: &Context) -> Result<(), leat_messaging::Error> {
    loop {
        tokio::select! {
            Some(request) = requests.next() => reply(request, context).await?,
            () = context.shutdown.cancelled() => break,
        }
    }
    match requests.drain(crate::broker::PATIENCE).await {
        // Nothing more can come.
        Err(leat_messaging::Error::Disconnected) => return Ok(()),
        drained => drained?,
    }
    while let Some(request) = requests.next().await {
        reply(request, context).await?;
    }
    Ok(())
}

async fn reply(request: Message, context: &Context) -> Result<(), leat_messaging::Error> {
    let _inflight = context.inflight.enter();
    let Some(inbox) = request.reply().cloned() else { return Ok(()) };
    let answering = context.connections.reply.publish(inbox, request.into_payload());
    answering.instrument(info_span!("answer", model = "echo")).await
}
