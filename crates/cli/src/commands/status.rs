use std::time::Duration;

use clap::Args;
use leat_contract::micro::{MicroIdentity, MicroPing, MicroVerb};
use leat_contract::{AssetRole, Deployment, Window, WorkerLease, decode_json};
use leat_messaging::{Gathering, Position};
use leat_service_runtime::unix_ms;
use serde::Serialize;

use crate::arguments::GlobalOptions;
use crate::commands::deploy::routes;
use crate::session::{Session, readable};
use crate::{Error, output};

/// Figures older than this say nothing about now.
const FRESH_MS: u64 = 15_000;
/// The last window of each of this many models at most.
const WINDOWS_MAX: usize = 10_000;

/// Show services, deployments and live figures.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  leat status\n  leat status --output json")]
pub(crate) struct Status {}

/// Everything at one glance.
#[derive(Debug, Serialize)]
struct Overview {
    server_version: String,
    round_trip_us: u128,
    /// Every instance of every service that answers now.
    services: Vec<MicroIdentity>,
    workers: Vec<WorkerLease>,
    deployments: Vec<Deployment>,
    windows: Vec<Window>,
    jobs_waiting: u64,
    jobs_running: u64,
}

pub(crate) async fn run(global: &GlobalOptions, _: Status) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let overview = Overview::gather(&session).await?;
    if session.is_json() {
        return output::json(&overview);
    }
    overview.print();
    Ok(())
}

impl Overview {
    async fn gather(session: &Session) -> Result<Self, Error> {
        let now = unix_ms();
        let leases = session.storage.key_value::<WorkerLease>(AssetRole::Actual);
        let leases = readable(&leases, ">").await?;
        let deployments = session.catalogue().deployments().all().await?;
        let (mut jobs_waiting, mut jobs_running) = (0, 0);
        for kind in leat_contract::JobKind::ALL {
            let depth = session.storage.job_queue(kind).depth().await?;
            jobs_waiting += depth.waiting;
            jobs_running += depth.in_work;
        }
        Ok(Self {
            services: services(session).await?,
            server_version: session.connection.server_version(),
            round_trip_us: session.connection.round_trip(Duration::from_secs(2)).await?.as_micros(),
            workers: leases
                .into_iter()
                .map(|entry| entry.value)
                .filter(|lease| !lease.is_expired(now))
                .collect(),
            deployments: deployments.into_iter().map(|entry| entry.value).collect(),
            windows: last_windows(session, now).await?,
            jobs_waiting,
            jobs_running,
        })
    }

    fn print(&self) {
        let Self { server_version, round_trip_us, jobs_waiting, jobs_running, .. } = self;
        output::line(&format!("broker {server_version}, round trip {round_trip_us} µs"));
        output::line(&format!("jobs: {jobs_waiting} waiting, {jobs_running} running"));
        let services = self
            .services
            .iter()
            .map(|service| vec![service.name.clone(), service.id.clone(), service.version.clone()]);
        output::line(&output::table(&["service", "instance", "version"], services.collect()));
        let workers = self.workers.iter().map(|lease| {
            let loaded = lease.loaded.iter();
            let loaded = loaded.map(|loaded| {
                format!("{} {:?}", loaded.model.at(loaded.version), loaded.state).to_lowercase()
            });
            vec![lease.worker.to_string(), loaded.collect::<Vec<_>>().join(", ")]
        });
        output::line(&output::table(&["worker", "loaded"], workers.collect()));
        self.workers.iter().flat_map(failures).for_each(|line| output::line(&line));
        let deployments =
            self.deployments.iter().map(|deployment| vec![deployment.model.to_string(), routes(deployment)]);
        output::line(&output::table(&["model", "live routes"], deployments.collect()));
        let figures: Vec<Vec<String>> = self.windows.iter().flat_map(figures).collect();
        if figures.is_empty() {
            return output::line("no live figures: the monitor has told nothing in the last 15 s");
        }
        let header = ["version", "req/s", "p50 ms", "p99 ms", "errors", "accuracy"];
        output::line(&output::table(&header, figures));
        self.windows.iter().flat_map(shadows).for_each(|line| output::line(&line));
    }
}

/// One sentence for each version that a worker cannot load.
fn failures(lease: &WorkerLease) -> impl Iterator<Item = String> {
    lease.loaded.iter().filter_map(|loaded| {
        let error = loaded.error.as_ref()?;
        Some(format!("{} cannot load {}: {}", lease.worker, loaded.model.at(loaded.version), error.message))
    })
}

/// One sentence per shadow of a window.
fn shadows(window: &Window) -> Vec<String> {
    let sentence = |version: &leat_contract::VersionWindow| {
        let counts = version.shadow.as_ref()?;
        let (model, version) = (&window.model, version.version);
        Some(format!(
            "{model}@{version} as a shadow: {} copies run, {} dropped, {} failed; {} of {} rows disagree, values differ by {} at most",
            counts.mirrored,
            counts.dropped,
            counts.failed,
            counts.disagreements,
            counts.rows,
            counts.difference_max
        ))
    };
    window.versions.iter().filter_map(sentence).collect()
}

/// One row per version of a window.
fn figures(window: &Window) -> Vec<Vec<String>> {
    let row = |version: &leat_contract::VersionWindow| {
        let accuracy =
            version.accuracy.as_ref().and_then(|accuracy| Some((accuracy.ratio?, accuracy.matched)));
        vec![
            window.model.at(version.version).to_string(),
            format!("{:.1}", version.requests_per_second),
            format!("{:.3}", version.latency_ms.p50),
            format!("{:.3}", version.latency_ms.p99),
            version.errors.values().sum::<u64>().to_string(),
            accuracy.map(|(ratio, labels)| format!("{ratio:.4} ({labels} labels)")).unwrap_or_default(),
        ]
    };
    window.versions.iter().map(row).collect()
}

/// Who answers a ping of the micro protocol, of Leat or not, in the order of names.
async fn services(session: &Session) -> Result<Vec<MicroIdentity>, Error> {
    let [everybody, _, _] = MicroVerb::Ping.subjects("", "");
    let answers = session.connection.gather(everybody, Vec::new(), Gathering::default()).await?;
    let pings = answers.iter().filter_map(|answer| decode_json::<MicroPing>(answer.payload()).ok());
    let mut services: Vec<MicroIdentity> = pings.map(|ping| ping.identity).collect();
    services.sort_by(|left, right| (&left.name, &left.id).cmp(&(&right.name, &right.id)));
    Ok(services)
}

/// The latest window of each model, unless it is old.
pub(crate) async fn last_windows(session: &Session, now: u64) -> Result<Vec<Window>, Error> {
    let log = session.storage.event_log(AssetRole::Monitor);
    let mut follower = log.follow(&session.subjects.monitor_window_all(), Position::LastPerSubject);
    let messages = follower.take_stored(WINDOWS_MAX).await?;
    let windows = messages.iter().filter_map(|message| decode_json::<Window>(message.payload()).ok());
    Ok(windows.filter(|window| now.saturating_sub(window.end) < FRESH_MS).collect())
}
