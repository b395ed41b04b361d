use leat_model::{Body, Digest, Lineage, Model, Signature, Task};
use serde::Serialize;

use crate::{Dataset, Error, Recipe, Trained, evaluate, reference_profile};

/// Everything that becomes a model.
#[derive(Clone, Debug)]
pub struct Assembly<'a> {
    /// The name the model will be registered under.
    pub name: &'a str,
    /// What training gave.
    pub trained: Trained,
    /// The rows training was given; the profile summarises them.
    pub train: &'a Dataset,
    /// Rows it was not given; the metrics are measured on them.
    pub held_out: &'a Dataset,
    /// The recipe that was followed.
    pub recipe: &'a Recipe,
    /// The share of rows that was held out, for the lineage.
    pub held_out_ratio: f64,
    /// The digest of the bytes the data set was read from.
    pub data: Option<Digest>,
}

/// Puts a model together and measures it on the held-out rows, through the engine that will serve it. Same parts, same bytes.
///
/// Fails when the parts do not fit each other or the name is not a model name.
pub fn build_model(assembly: Assembly<'_>) -> Result<Model, Error> {
    let Assembly { name, trained, train, held_out, recipe, .. } = &assembly;
    let mut report = trained.report.clone();
    report.held_out_rows = held_out.len() as u64;
    let mut model = Model {
        name: (*name).to_owned(),
        task: train.task(),
        signature: Signature::of_network(train.task(), train.features.clone(), train.labels()),
        preprocessing: trained.preprocessing.clone(),
        body: Body::Network(trained.network.clone()),
        profile: Some(reference_profile(train)),
        training: None,
        compression: Vec::new(),
        lineage: Lineage {
            parent: None,
            data: assembly.data.clone(),
            recipe: recipe_text(&assembly)?,
            seed: recipe.seed,
            crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    };
    report.held_out = evaluate(&model, held_out)?;
    model.training = Some(report);
    model.validate()?;
    Ok(model)
}

/// What was done to the data, as canonical JSON.
#[derive(Serialize)]
struct Followed<'a> {
    target: &'a str,
    task: Task,
    held_out_ratio: f64,
    recipe: &'a Recipe,
}

fn recipe_text(assembly: &Assembly<'_>) -> Result<String, Error> {
    let followed = Followed {
        target: &assembly.train.target_name,
        task: assembly.train.task(),
        held_out_ratio: assembly.held_out_ratio,
        recipe: assembly.recipe,
    };
    serde_json::to_string(&followed)
        .map_err(|error| Error::Recipe { setting: "recipe", problem: format!("has no JSON form: {error}") })
}
