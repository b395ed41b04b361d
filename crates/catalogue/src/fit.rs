//! Whether versions can answer together, as their manifests tell: found out before workers load them and requests fail.

use leat_contract::{Deployment, Manifest, ModelRef, ModelVersion, PipelineMode, Task};

use crate::{Error, Registry};

/// What is known of the versions that a deployment names. A version of its routes that is not in the registry is left to the workers.
#[derive(Debug)]
pub(crate) struct Manifests {
    versions: Vec<Manifest>,
    /// Those of its pipeline, in order.
    members: Vec<Manifest>,
}

impl Manifests {
    /// # Errors
    /// [`Error::Unfit`] when a member of the pipeline is removed, or when the broker cannot be asked.
    pub(crate) async fn of(registry: &Registry, deployment: &Deployment) -> Result<Self, Error> {
        let (mut versions, mut members) = (Vec::new(), Vec::new());
        for route in deployment.versions() {
            versions.extend(registry.get(&deployment.model, route.version).await?);
        }
        for member in deployment.pipeline.iter().flat_map(|pipeline| &pipeline.members) {
            let manifest = registry.get(&member.model, member.version).await?;
            let missing =
                || Error::unfit(format!("{} of the pipeline is removed", member.model.at(member.version)));
            members.push(manifest.ok_or_else(missing)?);
        }
        Ok(Self { versions, members })
    }

    /// Whether the shadow of the deployment, if it has one, takes the rows of the live route.
    pub(crate) fn shadow_fits(&self, deployment: &Deployment) -> bool {
        let shadow = deployment.shadow.as_ref().and_then(|shadow| self.version(shadow.version));
        let live = deployment.principal().and_then(|principal| self.version(principal.version));
        live.zip(shadow).is_none_or(|(live, shadow)| takes_the_same(live, shadow).is_ok())
    }

    /// Checks that the versions that share the live route take the same rows, as a shadow must, and that models which answer together
    /// fit.
    ///
    /// # Errors
    /// [`Error::Unfit`].
    pub(crate) fn check(&self, deployment: &Deployment) -> Result<(), Error> {
        let all = || deployment.versions().filter_map(|route| self.version(route.version));
        if let Some(first) = deployment.principal().and_then(|principal| self.version(principal.version)) {
            // Who names a version knows what it takes.
            let is_only_named =
                |other: &&Manifest| deployment.route(other.version).is_some_and(|route| route.weight == 0);
            all().filter(|other| !is_only_named(other)).try_for_each(|other| takes_the_same(first, other))?;
        }
        let Some(pipeline) = &deployment.pipeline else { return Ok(()) };
        all().try_for_each(|first| match pipeline.mode {
            PipelineMode::Sequence => follows(first, &self.members),
            mode => self.members.iter().try_for_each(|member| agrees(mode, first, member)),
        })
    }

    fn version(&self, version: ModelVersion) -> Option<&Manifest> {
        self.versions.iter().find(|manifest| manifest.version == version)
    }
}

/// Requests go to one version or the other, so that both must take them.
fn takes_the_same(first: &Manifest, other: &Manifest) -> Result<(), Error> {
    if first.features.len() == other.features.len() && first.task == other.task {
        return Ok(());
    }
    let (first, other) = (described(first), described(other));
    Err(Error::unfit(format!("{first} and {other} cannot answer the same requests")))
}

/// Each takes what the one before it gives.
fn follows(first: &Manifest, members: &[Manifest]) -> Result<(), Error> {
    let pairs = std::iter::once(first).chain(members).zip(members);
    for (before, after) in pairs {
        if before.labels.len() != after.features.len() {
            let (gives, takes) = (before.labels.len(), after.features.len());
            let (before, after) = (named(before), named(after));
            return Err(Error::unfit(format!("{before} gives {gives} values a row, {after} takes {takes}")));
        }
    }
    Ok(())
}

/// All take the same rows and give the same values.
fn agrees(mode: PipelineMode, first: &Manifest, member: &Manifest) -> Result<(), Error> {
    if mode == PipelineMode::Vote && first.task != Task::Classification {
        return Err(Error::unfit(format!("{} cannot vote, only classifiers can", described(first))));
    }
    let is_like_first =
        first.task == member.task && first.features == member.features && first.labels == member.labels;
    if is_like_first {
        return Ok(());
    }
    let (first, member) = (described(first), described(member));
    Err(Error::unfit(format!("{first} and {member} differ in their features, classes or task")))
}

/// `wine@2`.
fn named(manifest: &Manifest) -> ModelRef {
    manifest.model.at(manifest.version)
}

/// `wine@2 (classification of 13 features)`.
fn described(manifest: &Manifest) -> String {
    format!("{} ({} of {} features)", named(manifest), manifest.task, manifest.features.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn manifest(model: &str, task: &str, (features, labels): (usize, usize)) -> Manifest {
        let names = |count: usize| (0..count).map(|index| format!("n{index}")).collect::<Vec<_>>();
        serde_json::from_value(json!({
            "model": model, "version": 1, "digest": format!("sha256-{}", "0".repeat(64)), "bytes": 1,
            "task": task, "created_at": 0, "parameters": 1, "encoding": "f32",
            "features": names(features), "labels": names(labels),
        }))
        .unwrap()
    }

    fn refusal(outcome: Result<(), Error>) -> String {
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn versions_of_one_route_take_the_same_rows() {
        let (wide, narrow) =
            (manifest("wide", "classification", (64, 10)), manifest("narrow", "classification", (10, 10)));
        assert!(takes_the_same(&wide, &manifest("other", "classification", (64, 3))).is_ok());
        let text = refusal(takes_the_same(&wide, &narrow));
        assert!(
            text.contains("wide@1 (classification of 64 features)") && text.contains("narrow@1"),
            "{text}"
        );
        assert!(takes_the_same(&wide, &manifest("number", "regression", (64, 10))).is_err());
    }

    #[test]
    fn each_of_a_sequence_takes_what_the_one_before_gives() {
        let models = [(64, 10), (10, 3), (3, 1)].map(|shape| manifest("model", "regression", shape));
        let [first, second, third] = &models;
        assert!(follows(first, &[second.clone(), third.clone()]).is_ok());
        let text = refusal(follows(first, std::slice::from_ref(third)));
        assert!(text.contains("model@1 gives 10 values a row, model@1 takes 3"), "{text}");
        assert!(follows(first, &[second.clone(), first.clone()]).is_err());
    }

    #[test]
    fn an_ensemble_agrees_on_everything_and_only_classifiers_vote() {
        let model = manifest("model", "classification", (4, 2));
        let mut turned = model.clone();
        turned.labels.reverse();
        assert!(agrees(PipelineMode::Vote, &model, &model).is_ok());
        assert!(refusal(agrees(PipelineMode::Average, &model, &turned)).contains("differ"));
        let number = manifest("model", "regression", (4, 2));
        assert!(agrees(PipelineMode::Average, &number, &number).is_ok());
        assert!(refusal(agrees(PipelineMode::Vote, &number, &number)).contains("only classifiers"));
    }
}
