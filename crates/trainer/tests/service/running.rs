//! A trainer inside of the test, and jobs for it.

use leat_broker::Broker;
use leat_contract::{DatasetRef, JobSpec, ModelName};
use leat_service_runtime::{Error, Settings, serve};
use leat_test_harness::JobDesk;
use leat_trainer::Trainer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const DIGITS: &[u8] = include_bytes!("../../../cli/data/digits.csv");

/// A running trainer.
pub(crate) struct Running {
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start(broker: &Broker) -> Self {
        Self::start_with(settings(broker))
    }

    pub(crate) fn start_with(settings: Settings<leat_trainer::Settings>) -> Self {
        let shutdown = CancellationToken::new();
        let asked = shutdown.clone();
        let ended =
            tokio::spawn(
                async move { serve(&settings, Trainer::new(settings.service.clone()), asked).await },
            );
        Self { shutdown, ended }
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

/// Settings of a trainer that saves its state often.
pub(crate) fn settings(broker: &Broker) -> Settings<leat_trainer::Settings> {
    let mut settings = Settings::<leat_trainer::Settings>::default();
    settings.nats.url = broker.url();
    settings.service.checkpoint_ms = 100;
    settings
}

/// A desk with the digits on it.
pub(crate) async fn desk_with_digits(broker: &Broker) -> (JobDesk, DatasetRef) {
    let desk = JobDesk::open(&broker.url()).await;
    let digits = desk.upload("digits.csv", DIGITS).await;
    (desk, digits)
}

pub(crate) fn digits_model() -> ModelName {
    ModelName::new("digits").unwrap()
}

/// A job on the digits; `changes` are further fields as JSON, each with a comma before it.
pub(crate) fn job(dataset: &DatasetRef, epochs: u32, changes: &str) -> JobSpec {
    let DatasetRef { digest, name } = dataset;
    let text = format!(
        r#"{{"kind": "train", "model": "digits", "dataset": {{"digest": "{digest}", "name": "{name}"}},
            "hidden": [32], "learning_rate": 0.003, "batch_size": 32, "epochs": {epochs},
            "held_out_ratio": 0.2, "seed": 7, "target": "digit" {changes}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

/// A job that lasts for many seconds on any machine, in epochs short enough to be interrupted.
pub(crate) fn long_job(dataset: &DatasetRef) -> JobSpec {
    job(dataset, 1_000_000, "")
}
