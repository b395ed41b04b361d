use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{Error, Step};

/// The recipe of a compressed model: `{"of": <recipe of its parent>, "steps": […]}`. The parent's text goes in as it is, so that
/// the whole way from the data to this model can be read off its last lineage.
pub(crate) fn recipe(parent: &str, steps: &[Step]) -> Result<String, Error> {
    let parent_is_json = serde_json::from_str::<IgnoredAny>(parent).is_ok();
    let of = if parent_is_json { parent.to_owned() } else { serde_json::to_string(parent)? };
    Ok(format!(r#"{{"of":{of},"steps":{}}}"#, serde_json::to_string(steps)?))
}

/// The part of a recipe that tells how the first ancestor was trained; of a model that was never compressed the whole recipe.
///
/// # Errors
/// [`Error::Json`] when the recipe is not JSON.
pub fn training_recipe(recipe: &str) -> Result<Value, Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Compressed {
        of: Value,
        #[serde(rename = "steps")]
        _steps: Vec<IgnoredAny>,
    }
    let mut found: Value = serde_json::from_str(recipe)?;
    while let Ok(Compressed { of, .. }) = Compressed::deserialize(&found) {
        found = of;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_training_recipe_is_found_below_any_number_of_compressions() {
        let training = r#"{"target":"digit","recipe":{"epochs":3}}"#;
        let once = recipe(training, &[Step::FineTune { epochs: 1 }]).unwrap();
        let twice = recipe(&once, &[Step::FineTune { epochs: 2 }]).unwrap();
        let expected: Value = serde_json::from_str(training).unwrap();
        for text in [training, &once, &twice] {
            assert_eq!(training_recipe(text).unwrap(), expected);
        }
        assert!(once.starts_with(r#"{"of":{"target":"digit","recipe":{"epochs":3}},"steps":[{"fine_tune""#));
    }

    #[test]
    fn a_recipe_that_is_not_json_is_kept_as_text() {
        let text = recipe("by hand", &[Step::FineTune { epochs: 1 }]).unwrap();
        assert_eq!(training_recipe(&text).unwrap(), Value::from("by hand"));
        assert!(training_recipe("by hand").is_err());
    }
}
