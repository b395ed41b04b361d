use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use leat_contract::{
    Accuracy, CompressSpec, Encoding, InferRequest, JobSpec, Label, LabelValue, Manifest, ModelVersion,
    Scalar, Tensor, TensorData,
};
use leat_messaging::{Headers, Patience};
use leat_service_runtime::unix_ms;
use leat_training::{Dataset, Target};
use tokio::time::Instant;

use super::summary::VersionSummary;
use super::{Scenario, Summary};
use crate::cluster::Cluster;
use crate::commands::label;
use crate::commands::status::last_windows;
use crate::load::{Load, LoadOptions, LoadReport};
use crate::progress::JobDisplay;
use crate::session::Session;
use crate::{Error, output};

/// The worker that is killed, as a crash would.
const VICTIM: &str = "worker-2";
const SERVED_TIMEOUT: Duration = Duration::from_secs(30);
/// Predictions travel in batches and windows close every two seconds.
const LABELS_TIMEOUT: Duration = Duration::from_secs(30);
const LABELS_POLL: Duration = Duration::from_millis(200);
/// Requests and labels on their way at the same time.
const ABREAST: usize = 32;

/// The story of one scenario.
#[derive(Debug)]
pub(crate) struct Story<'scenario> {
    pub(crate) scenario: &'scenario Scenario,
    pub(crate) concurrency: usize,
    pub(crate) phase: Duration,
}

/// What happened under load.
#[derive(Debug)]
pub(crate) struct Served {
    first: LoadReport,
    canary: LoadReport,
    second: LoadReport,
    /// While workers changed over from routes to routes.
    between: LoadReport,
    after_kill: LoadReport,
    live: [Accuracy; 2],
}

impl Story<'_> {
    /// Tells it from data to live accuracy.
    ///
    /// # Errors
    /// When a step does not end as it should.
    pub(crate) async fn tell(&self, cluster: &mut Cluster) -> Result<Summary, Error> {
        let session = Session::connect(cluster.url(), cluster.subjects().clone()).await?;
        let first = self.train(&session).await?;
        let second = self.compress(&session, &first).await?;
        let held_out = self.scenario.held_out()?;
        let served = self.serve(cluster, &session, [&first, &second], &held_out).await?;
        Ok(served.summary(self.scenario, [first, second], held_out.len() as u64))
    }

    async fn train(&self, session: &Session) -> Result<Manifest, Error> {
        let dataset = session.jobs().upload(self.scenario.file, &self.scenario.csv).await?;
        self.job(session, JobSpec::Train(self.scenario.train(dataset))).await
    }

    async fn compress(&self, session: &Session, parent: &Manifest) -> Result<Manifest, Error> {
        let spec = CompressSpec {
            model: parent.model.clone(),
            version: parent.version,
            steps: self.scenario.steps.clone(),
            dataset: None,
            seed: 0,
        };
        self.job(session, JobSpec::Compress(spec)).await
    }

    async fn job(&self, session: &Session, spec: JobSpec) -> Result<Manifest, Error> {
        let kind = spec.kind();
        let began = Instant::now();
        output::say(&format!("{kind}: {}", self.scenario.model));
        let mut display = JobDisplay::new(kind.as_str(), false);
        let id = session.jobs().submit(spec).await?;
        let made = session.jobs().follow(&id, |event| display.show(event)).await?;
        let reference = made.model.at(made.version);
        let manifest = session.catalogue().registry().resolve(&reference).await?;
        let metric = manifest.metrics.get(self.scenario.metric.name).copied().unwrap_or(f64::NAN);
        output::say(&format!(
            "  {reference}: {} {metric:.4} on held-out rows, {}, after {:.1} s",
            self.scenario.metric.name,
            output::bytes(manifest.bytes),
            began.elapsed().as_secs_f64()
        ));
        Ok(manifest)
    }

    async fn serve(
        &self,
        cluster: &mut Cluster,
        session: &Session,
        [first, second]: [&Manifest; 2],
        held_out: &Dataset,
    ) -> Result<Served, Error> {
        let deployed = session.catalogue().deployments().route(first, 100, |_| ()).await?;
        let workers = session.catalogue().wait_until_served(&deployed, SERVED_TIMEOUT).await?;
        output::say(&format!("deploy: {workers} workers serve version {}", first.version));
        let load = Load::start(&session.connection, &self.load(session, held_out)?)?;
        let served_first = self.phase(&load, "load on the first version").await;

        let canary = session.catalogue().deployments().route(second, 10, |_| ()).await?;
        session.catalogue().wait_until_served(&canary, SERVED_TIMEOUT).await?;
        let mut between = load.take_report();
        let served_canary = self.phase(&load, "10 % of live traffic to the compressed version").await;
        let live = self.compare_with_truth(session, [first, second], held_out).await?;

        let promoted = session.catalogue().promote(second).await?;
        session.catalogue().wait_until_served(&promoted, SERVED_TIMEOUT).await?;
        between.append(&load.take_report())?;
        let served_second = self.phase(&load, "all live traffic to the compressed version").await;

        cluster.kill(VICTIM).await?;
        let mut after_kill = self.phase(&load, "one of two workers killed with SIGKILL").await;
        after_kill.append(&load.stop().await)?;
        Ok(Served {
            first: served_first,
            canary: served_canary,
            second: served_second,
            between,
            after_kill,
            live,
        })
    }

    async fn phase(&self, load: &Load, what: &str) -> LoadReport {
        output::say(&format!("serve: {what}"));
        tokio::time::sleep(self.phase).await;
        let report = load.take_report();
        let (rate, failed) = (report.requests_per_second(), report.failed_total());
        output::say(&format!("  {rate:.0} requests/s, {failed} failed"));
        report
    }

    fn load(&self, session: &Session, held_out: &Dataset) -> Result<LoadOptions, Error> {
        let rows = (0..held_out.len()).map(|row| request(held_out, row, None));
        Ok(LoadOptions {
            subject: session.subjects.infer(&self.scenario.model),
            requests: Arc::new(rows.collect::<Result<_, _>>()?),
            concurrency: self.concurrency,
            patience: Patience { attempt: Duration::from_secs(1), total: Duration::from_secs(10) },
        })
    }

    /// While both versions are live: asks each about every held-out row, tells the truth, and waits for the monitor.
    async fn compare_with_truth(
        &self,
        session: &Session,
        versions: [&Manifest; 2],
        held_out: &Dataset,
    ) -> Result<[Accuracy; 2], Error> {
        output::say("labels: what the held-out rows really are, told for both versions");
        for manifest in versions {
            self.label(session, manifest, held_out).await?;
        }
        let labels = held_out.len() as u64;
        let [first, second] = versions;
        let first = self.live_accuracy(session, first.version, labels).await?;
        Ok([first, self.live_accuracy(session, second.version, labels).await?])
    }

    /// Asks one version about every held-out row and tells the truth about each.
    async fn label(&self, session: &Session, manifest: &Manifest, held_out: &Dataset) -> Result<(), Error> {
        let model = &self.scenario.model;
        let subject = session.subjects.infer_version(model, manifest.version);
        let asked = futures_util::stream::iter(0..held_out.len()).map(|row| {
            let subject = subject.clone();
            async move {
                let id = format!("demo-{}-{row}", manifest.version);
                let payload = request(held_out, row, Some(&id))?;
                let headers = Headers::new();
                session
                    .connection
                    .request_idempotent(subject, &headers, payload, &Patience::default())
                    .await?;
                let truth = LabelValue::One(truth(held_out, row)?);
                label::send(
                    session,
                    model,
                    &Label { request_id: id.parse()?, label: truth, at: Some(unix_ms()) },
                )
                .await
            }
        });
        asked.buffer_unordered(ABREAST).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    /// Waits until the monitor has joined every label with its prediction.
    async fn live_accuracy(
        &self,
        session: &Session,
        version: ModelVersion,
        labels: u64,
    ) -> Result<Accuracy, Error> {
        let deadline = Instant::now() + LABELS_TIMEOUT;
        loop {
            let windows = last_windows(session, unix_ms()).await?;
            let window = windows.into_iter().find(|window| window.model == self.scenario.model);
            let figures =
                window.into_iter().flat_map(|window| window.versions).find(|told| told.version == version);
            let live = figures.and_then(|told| told.accuracy).unwrap_or_default();
            if live.matched >= labels || Instant::now() > deadline {
                return Ok(live);
            }
            tokio::time::sleep(LABELS_POLL).await;
        }
    }
}

impl Served {
    fn summary(self, scenario: &Scenario, manifests: [Manifest; 2], labels_sent: u64) -> Summary {
        let before_kill = [&self.first, &self.canary, &self.second, &self.between];
        let repeated_before_kill = before_kill.iter().map(|report| report.repeated).sum();
        let all = before_kill.into_iter().chain([&self.after_kill]);
        let mut failed = BTreeMap::new();
        for (reason, count) in all.clone().flat_map(|report| &report.failed) {
            *failed.entry(reason.clone()).or_default() += count;
        }
        let requests = all.map(|report| report.answered_total() + report.failed_total()).sum();
        let [first, second] = manifests;
        let to_second = self.canary.answered.get(&second.version).copied().unwrap_or(0);
        let canary_share = to_second as f64 / self.canary.answered_total().max(1) as f64;
        let [live_first, live_second] = self.live;
        let version = |manifest, load, live| VersionSummary { manifest, load, live, labels_sent };
        Summary {
            metric: scenario.metric,
            promises: scenario.promises,
            canary_share,
            answered_after_kill: self.after_kill.answered_total(),
            repeated_before_kill,
            repeated_after_kill: self.after_kill.repeated,
            requests,
            failed,
            versions: [version(first, self.first, live_first), version(second, self.second, live_second)],
        }
    }
}

/// One row as a request in tensor form.
fn request(data: &Dataset, row: usize, id: Option<&str>) -> Result<Bytes, Error> {
    let values = data.rows.row(row).to_vec();
    let tensor = Tensor::new("input", vec![1, values.len()], TensorData::Fp32(values))?;
    let mut request = InferRequest::tensors(vec![tensor]);
    request.id = id.map(str::parse).transpose()?;
    Ok(request.encode(Encoding::MessagePack)?.into())
}

/// What the target of a row really is.
fn truth(data: &Dataset, row: usize) -> Result<Scalar, Error> {
    let value = match &data.target {
        Target::Classes { labels, indices } => {
            indices.get(row).and_then(|class| labels.get(*class)).map(|label| Scalar::Text(label.clone()))
        }
        Target::Values(values) => values.get((row, 0)).map(|value| Scalar::Number(f64::from(*value))),
    };
    value.ok_or_else(|| Error::Usage(format!("row {row} has no target")))
}
