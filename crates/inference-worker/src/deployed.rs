//! One model from its deployment to its subscriptions: loads first, then swaps the routes, then subscribes.

use std::sync::{Arc, PoisonError};

use leat_contract::{Deployment, ErrorDetail, ModelName, Route};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::Error;
use crate::describe::metadata_of;
use crate::durable::Durable;
use crate::endpoint::ModelEndpoint;
use crate::handover;
use crate::ingest::Ingest;
use crate::loaded::LoadedVersion;
use crate::loader::obtain;
use crate::metadata::MetadataSubject;
use crate::served::{RouteTable, ServedModel};
use crate::shared::Shared;
use crate::work::Target;

/// What is wanted of one model.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// It is not deployed.
    Nothing,
    /// That this worker serves it as the deployment with this revision says.
    Here(Arc<Deployment>, u64),
    /// That other workers do.
    Elsewhere(Arc<Deployment>),
}

/// Follows what is wanted of one model until the sender is gone; then ends its subscriptions.
pub(crate) async fn follow(shared: Arc<Shared>, model: ModelName, mut wanted: watch::Receiver<Wanted>) {
    let mut deployed = Deployed { shared: shared.clone(), model, served: None };
    let mut failures = 0;
    loop {
        let current = wanted.borrow_and_update().clone();
        let mut is_newer = false;
        let prepared = tokio::select! {
            // What is wanted last counts: a newer wish interrupts loading, and loading only.
            biased;
            next = something_else(&mut wanted, &current, &mut is_newer) => match next {
                Next::Other => continue,
                Next::Nothing => break,
            },
            prepared = deployed.prepare(&current) => prepared,
        };
        if is_newer {
            wanted.mark_changed();
        }
        let outcome = match (prepared, current) {
            (Ok(Some(prepared)), Wanted::Here(deployment, revision)) => {
                deployed.put_in_force(&deployment, revision, prepared).await
            }
            (Ok(_), _) => {
                deployed.end().await;
                Ok(())
            }
            (Err(error), _) => Err(error),
        };
        let retry = match outcome {
            Ok(()) => {
                failures = 0;
                None
            }
            Err(error) => {
                failures += 1;
                let retry = shared.settings.load_retry(failures);
                warn!(model = %deployed.model, %error, retry_ms = retry.as_millis(), "deployment cannot be applied");
                Some(retry)
            }
        };
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { break },
            () = after(retry) => {}
        }
    }
    deployed.end().await;
}

/// What comes after what is wanted now.
enum Next {
    /// Something that needs other work.
    Other,
    /// Nothing, the worker leaves.
    Nothing,
}

/// Waits until something is wanted that needs other work, and says whether something was that does not: who moves shares more often than a
/// load takes would else never see it end.
async fn something_else(wanted: &mut watch::Receiver<Wanted>, current: &Wanted, is_newer: &mut bool) -> Next {
    while wanted.changed().await.is_ok() {
        if !needs_the_same(&wanted.borrow_and_update(), current) {
            return Next::Other;
        }
        *is_newer = true;
    }
    Next::Nothing
}

/// Whether the same models must be loaded, or the same workers waited for.
fn needs_the_same(one: &Wanted, other: &Wanted) -> bool {
    let models = |deployment: &Deployment| {
        let mut versions: Vec<_> = deployment.versions().map(|route| (route.version, route.digest)).collect();
        versions.sort();
        (versions, deployment.pipeline.clone(), deployment.batching.max_size)
    };
    match (one, other) {
        (Wanted::Here(one, _), Wanted::Here(other, _)) => models(one) == models(other),
        (Wanted::Elsewhere(one), Wanted::Elsewhere(other)) => {
            one.selector == other.selector && models(one) == models(other)
        }
        _ => false,
    }
}

async fn after(delay: Option<std::time::Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => std::future::pending().await,
    }
}

/// One model as it is at the moment.
struct Deployed {
    shared: Arc<Shared>,
    model: ModelName,
    served: Option<Served>,
}

/// A model that is served, with its subscriptions.
struct Served {
    model: Arc<ServedModel>,
    live: Option<Ingest>,
    /// By the version that answers: the same number may come with another blob, or together with other models.
    pinned: Vec<Pinned>,
    endpoint: Option<ModelEndpoint>,
    durable: Option<Durable>,
    /// Whether a deployment with all of its versions was in force.
    is_whole: bool,
}

/// What can be put in force of a deployment.
struct Prepared {
    /// In the order of [`Deployment::versions`].
    versions: Vec<Arc<LoadedVersion>>,
    /// Those that cannot be loaded, and why.
    missing: Vec<(Route, Error)>,
}

/// A version that can be asked by its number.
struct Pinned {
    version: Arc<LoadedVersion>,
    ingest: Ingest,
    metadata: MetadataSubject,
}

impl Pinned {
    async fn start(
        shared: &Arc<Shared>,
        model: &Arc<ServedModel>,
        version: &Arc<LoadedVersion>,
    ) -> Result<Self, Error> {
        let (subjects, number) = (&shared.context.subjects, version.version);
        let of = version.clone();
        let subject = subjects.metadata_version(&model.name, number);
        let metadata = MetadataSubject::start(shared, subject, move || Ok(metadata_of(&of))).await?;
        let target = Target { served: model.clone(), pinned: Some(version.clone()) };
        match Ingest::start(shared, subjects.infer_version(&model.name, number), target).await {
            Ok(ingest) => Ok(Self { version: version.clone(), ingest, metadata }),
            Err(error) => {
                metadata.stop().await;
                Err(error)
            }
        }
    }

    async fn stop(self) {
        self.metadata.stop().await;
        self.ingest.stop().await;
    }
}

impl Deployed {
    /// Gets every version of a deployment into memory. Nothing that is in force changes, and it goes on when one cannot be loaded; where
    /// nothing is in force, the others are better than none.
    async fn prepare(&self, wanted: &Wanted) -> Result<Option<Prepared>, Error> {
        let deployment = match wanted {
            Wanted::Nothing => return Ok(None),
            Wanted::Here(deployment, _) => deployment,
            Wanted::Elsewhere(deployment) => {
                if self.served.is_some() {
                    handover::wait(&self.shared, deployment).await;
                }
                return Ok(None);
            }
        };
        self.shared.board.loading(deployment);
        if let Err(error) = deployment.validate() {
            let error = Error::from(error);
            let detail = error.detail();
            self.failed(deployment, deployment.versions().map(|route| (route, detail.clone())).collect());
            return Err(error);
        }
        let current = self.served.as_ref().map(|served| served.model.routes());
        let may_miss = self.served.as_ref().is_none_or(|served| !served.is_whole);
        let (mut versions, mut missing) = (Vec::with_capacity(deployment.routes.len()), Vec::new());
        for route in deployment.versions() {
            match obtain(&self.shared, deployment, &route, current.as_deref()).await {
                Ok(version) => versions.push(version),
                Err(error) => {
                    missing.push((route, error));
                    if !may_miss {
                        break;
                    }
                }
            }
        }
        let is_missing = |route: &Route| missing.iter().any(|(missing, _)| missing == route);
        let is_enough = missing.is_empty() || may_miss && deployment.without(is_missing).is_some();
        if is_enough {
            return Ok(Some(Prepared { versions, missing }));
        }
        self.keep_warm(versions, current.as_deref());
        Err(self.missed(deployment, missing))
    }

    /// Says what cannot be loaded; gives the first reason.
    fn missed(&self, deployment: &Deployment, missing: Vec<(Route, Error)>) -> Error {
        self.failed(deployment, details(&missing));
        first_reason(deployment, missing)
    }

    fn failed(&self, deployment: &Deployment, failures: Vec<(Route, ErrorDetail)>) {
        self.shared.metrics.loads_failed.inc();
        self.shared.board.failed(deployment, failures);
    }

    /// Keeps those of these versions that no route in force names.
    fn keep_warm(&self, versions: Vec<Arc<LoadedVersion>>, current: Option<&RouteTable>) {
        let mut warm = self.shared.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let is_routed = |version: &Arc<LoadedVersion>| {
            current.is_some_and(|routes| routes.loaded().any(|routed| Arc::ptr_eq(routed, version)))
        };
        for version in versions {
            if is_routed(&version) {
                warm.forget(&version);
            } else {
                warm.keep(version);
            }
        }
    }

    /// Swaps the routes and makes the subscriptions fit them. It may be repeated after an error.
    async fn put_in_force(
        &mut self,
        wanted: &Deployment,
        revision: u64,
        Prepared { versions, missing }: Prepared,
    ) -> Result<(), Error> {
        let is_whole = missing.is_empty();
        let is_missing = |route: &Route| missing.iter().any(|(missing, _)| missing == route);
        let rest = if is_whole { None } else { wanted.without(is_missing) };
        let deployment = rest.as_ref().unwrap_or(wanted);
        let table = RouteTable::new(deployment, versions);
        if let Some(served) = &self.served {
            let former = served.model.replace(table);
            let current = served.model.routes();
            let both = former.loaded().chain(current.loaded()).cloned().collect();
            self.keep_warm(both, Some(&current));
        } else {
            let model = Arc::new(ServedModel::new(self.model.clone(), table));
            self.shared.roster.serves(&model);
            let (pinned, endpoint, durable) = (Vec::new(), None, None);
            self.served = Some(Served { model, live: None, pinned, endpoint, durable, is_whole: false });
        }
        self.subscribe().await?;
        if let Some(served) = &mut self.served {
            served.is_whole |= is_whole;
        }
        let routes = describe(deployment);
        if !is_whole {
            self.shared.metrics.loads_failed.inc();
            self.shared.board.partly_ready(deployment, details(&missing));
            info!(model = %self.model, revision, routes, "part of a deployment in force");
            return Err(first_reason(wanted, missing));
        }
        self.shared.board.ready(deployment, revision);
        info!(model = %self.model, revision, routes, "deployment in force");
        Ok(())
    }

    async fn subscribe(&mut self) -> Result<(), Error> {
        let (shared, subjects) = (&self.shared, &self.shared.context.subjects);
        let Some(served) = &mut self.served else { return Ok(()) };
        let routes = served.model.routes();
        // Before any request can come, so that the first ones are counted.
        if served.endpoint.is_none() {
            served.endpoint = Some(ModelEndpoint::start(shared, &served.model).await?);
        }
        for (version, _) in &routes.versions {
            if !served.pinned.iter().any(|pinned| Arc::ptr_eq(&pinned.version, version)) {
                served.pinned.push(Pinned::start(shared, &served.model, version).await?);
            }
        }
        if served.live.is_none() {
            let target = Target { served: served.model.clone(), pinned: None };
            served.live = Some(Ingest::start(shared, subjects.infer(&self.model), target).await?);
        }
        if served.durable.is_none() {
            served.durable = Some(Durable::start(shared, &self.model));
        }
        let is_routed = |pinned: &Pinned| {
            routes.versions.iter().any(|(version, _)| Arc::ptr_eq(version, &pinned.version))
        };
        let (kept, gone): (Vec<_>, Vec<_>) = served.pinned.drain(..).partition(is_routed);
        served.pinned = kept;
        for pinned in gone {
            pinned.stop().await;
        }
        Ok(())
    }

    /// Ends every subscription. What was received is still answered.
    async fn end(&mut self) {
        let Some(served) = self.served.take() else {
            self.shared.board.removed(&self.model);
            return;
        };
        // First of all, because it asks on the subscriptions that end next.
        if let Some(durable) = served.durable {
            durable.stop().await;
        }
        if let Some(endpoint) = served.endpoint {
            endpoint.stop().await;
        }
        if let Some(live) = served.live {
            live.stop().await;
        }
        for pinned in served.pinned {
            pinned.stop().await;
        }
        let routes = served.model.routes();
        self.keep_warm(routes.loaded().cloned().collect(), None);
        self.shared.roster.withdrawn(&self.model);
        self.shared.board.removed(&self.model);
        info!(model = %self.model, "model is served no more");
    }
}

fn details(missing: &[(Route, Error)]) -> Vec<(Route, ErrorDetail)> {
    missing.iter().map(|(route, error)| (route.clone(), error.detail())).collect()
}

fn first_reason(deployment: &Deployment, missing: Vec<(Route, Error)>) -> Error {
    let first = missing.into_iter().next().map(|(_, error)| error);
    let reason = || format!("{} cannot be served as it is deployed", deployment.model);
    first.unwrap_or_else(|| Error::Unavailable { reason: reason() })
}

fn describe(deployment: &Deployment) -> String {
    let routes = deployment.routes.iter().map(|route| format!("{} {} %", route.version, route.weight));
    routes.collect::<Vec<_>>().join(", ")
}
