//! Which rows the parent was measured on.

use leat_compression::training_recipe;
use leat_model::Model;
use leat_training::{Dataset, Error, HELD_OUT_RATIO, Split};
use serde_json::Value;

/// Divides the data as the first ancestor of the model did, by the ratio and the seed in its lineage, so that the rows it
/// was measured on stay unseen. A model that nobody trained here, as its empty lineage says, is divided by the default ratio
/// and `seed`.
///
/// # Errors
/// When the model has ancestors and its lineage does not tell how their data was divided: any other division would measure it
/// on rows it has learnt. Those of dividing.
pub(crate) fn split(model: &Model, data: &Dataset, seed: u64) -> Result<Split, Error> {
    let (ratio, seed) = match division(&model.lineage.recipe) {
        Some(division) => division,
        None if model.lineage.parent.is_none() => (HELD_OUT_RATIO, seed),
        None => {
            return Err(Error::Mismatch(format!(
                "the lineage of {} does not tell which rows were held out",
                model.name
            )));
        }
    };
    data.split(ratio, seed)
}

fn division(lineage_recipe: &str) -> Option<(f64, u64)> {
    let recipe: Value = training_recipe(lineage_recipe).ok()?;
    let ratio = recipe.get("held_out_ratio")?.as_f64()?;
    let seed = recipe.get("recipe")?.get("seed")?.as_u64()?;
    Some((ratio, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_division_is_found_below_compressions() {
        let trained =
            r#"{"target":"digit","task":"classification","held_out_ratio":0.25,"recipe":{"seed":9}}"#;
        assert_eq!(division(trained), Some((0.25, 9)));
        let compressed =
            format!(r#"{{"of":{trained},"steps":[{{"clip":{{"epsilon":1.0,"mode":"clamp"}}}}]}}"#);
        assert_eq!(division(&compressed), Some((0.25, 9)));
    }

    #[test]
    fn a_lineage_that_does_not_tell_has_no_division() {
        for recipe in ["", "by hand", "{}", r#"{"held_out_ratio":0.25}"#] {
            assert_eq!(division(recipe), None, "{recipe}");
        }
    }
}
