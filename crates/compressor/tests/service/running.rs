//! A compressor and a trainer inside of the test, and jobs for them.

use leat_broker::Broker;
use leat_compressor::Compressor;
use leat_contract::{DatasetRef, JobSpec, JobState, ModelName};
use leat_service_runtime::{Error, Service, Settings, serve};
use leat_test_harness::JobDesk;
use leat_trainer::Trainer;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const DIGITS: &[u8] = include_bytes!("../../../cli/data/digits.csv");

/// A running service.
pub(crate) struct Running {
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) fn trainer(broker: &Broker) -> Self {
        Self::start(&broker.url(), Trainer::new(Default::default()))
    }

    pub(crate) fn compressor(broker: &Broker) -> Self {
        Self::compressor_on(&broker.url())
    }

    pub(crate) fn compressor_on(url: &str) -> Self {
        Self::start(url, Compressor::new(Default::default()))
    }

    fn start<S: Service>(url: &str, service: S) -> Self {
        let mut settings = Settings::<S::Settings>::default();
        settings.nats.url = url.to_owned();
        let shutdown = CancellationToken::new();
        let asked = shutdown.clone();
        let ended = tokio::spawn(async move { serve(&settings, service, asked).await });
        Self { shutdown, ended }
    }

    /// Stops it in order.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

pub(crate) fn digits_model() -> ModelName {
    ModelName::new("digits").unwrap()
}

/// Trains version 1 of the digits.
pub(crate) async fn desk_with_model(broker: &Broker) -> JobDesk {
    let desk = JobDesk::open(&broker.url()).await;
    let DatasetRef { digest, name } = desk.upload("digits.csv", DIGITS).await;
    let trainer = Running::trainer(broker);
    let text = format!(
        r#"{{"kind": "train", "model": "digits", "dataset": {{"digest": "{digest}", "name": "{name}"}},
            "hidden": [32, 32], "learning_rate": 0.003, "batch_size": 32, "epochs": 6,
            "held_out_ratio": 0.25, "seed": 11, "target": "digit"}}"#
    );
    let id = desk.submit(serde_json::from_str(&text).unwrap()).await;
    let status = desk.ended(&id).await;
    assert_eq!(status.state, JobState::Succeeded, "{:?}", status.error);
    trainer.stop().await;
    desk
}

/// A job on a version of the digits; `steps` is a JSON list, `changes` further fields with a comma before each.
pub(crate) fn job(version: u32, steps: &str, changes: &str) -> JobSpec {
    let text = format!(
        r#"{{"kind": "compress", "model": "digits", "version": {version}, "steps": {steps}, "seed": 5 {changes}}}"#
    );
    serde_json::from_str(&text).unwrap()
}
