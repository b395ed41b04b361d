use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Error, Step};

/// The recipe of a compressed model, as it is written down.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compressed<'text> {
    #[serde(borrow)]
    of: &'text RawValue,
    #[serde(borrow)]
    steps: Vec<&'text RawValue>,
}

/// The recipe of a compressed model: `{"of": <how its first ancestor was trained>, "steps": [<all that was done since>]}`, so that
/// the whole way from the data to this model can be read off its last lineage. What the parent's recipe says goes in as it is.
pub(crate) fn recipe(parent: &str, steps: &[Step]) -> Result<String, Error> {
    let parent_is_json = serde_json::from_str::<IgnoredAny>(parent).is_ok();
    let (of, mut all) = match serde_json::from_str::<Compressed<'_>>(parent) {
        Ok(Compressed { of, steps }) => {
            (of.get().to_owned(), steps.iter().map(|step| step.get().to_owned()).collect())
        }
        Err(_) if parent_is_json => (parent.to_owned(), Vec::new()),
        Err(_) => (serde_json::to_string(parent)?, Vec::new()),
    };
    for step in steps {
        all.push(step.to_json()?);
    }
    Ok(format!(r#"{{"of":{of},"steps":[{}]}}"#, all.join(",")))
}

/// The part of a recipe that tells how the first ancestor was trained; of a model that was never compressed the whole recipe.
///
/// # Errors
/// [`Error::Json`] when the recipe is not JSON.
pub fn training_recipe(recipe: &str) -> Result<Value, Error> {
    match serde_json::from_str::<Compressed<'_>>(recipe) {
        Ok(Compressed { of, .. }) => Ok(serde_json::from_str(of.get())?),
        Err(_) => Ok(serde_json::from_str(recipe)?),
    }
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
        let expected = r#"{"of":{"target":"digit","recipe":{"epochs":3}},"steps":[{"fine_tune":{"epochs":1}},{"fine_tune":{"epochs":2}}]}"#;
        assert_eq!(twice, expected);
    }

    #[test]
    fn a_thousand_generations_nest_no_deeper_than_one() {
        let training = r#"{"held_out_ratio":0.1}"#;
        let step = [Step::FineTune { epochs: 1 }];
        let last = (0..1_000).fold(training.to_owned(), |parent, _| recipe(&parent, &step).unwrap());
        assert_eq!(training_recipe(&last).unwrap(), serde_json::from_str::<Value>(training).unwrap());
    }

    #[test]
    fn a_recipe_that_is_not_json_is_kept_as_text() {
        let text = recipe("by hand", &[Step::FineTune { epochs: 1 }]).unwrap();
        assert_eq!(training_recipe(&text).unwrap(), Value::from("by hand"));
        assert!(training_recipe("by hand").is_err());
    }
}
