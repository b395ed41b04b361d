use serde::{Deserialize, Serialize};

use super::Bin;
use crate::{Error, Preprocessing, Standardise};

/// Preprocessing; every `bin` has one f32 per feature.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preparation<'a> {
    #[serde(borrow)]
    impute: Option<Bin<'a>>,
    #[serde(borrow)]
    standardise: Option<Statistics<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statistics<'a> {
    #[serde(borrow)]
    mean: Bin<'a>,
    #[serde(borrow)]
    scale: Bin<'a>,
}

impl From<&Preprocessing> for Preparation<'_> {
    fn from(preprocessing: &Preprocessing) -> Self {
        let standardise = preprocessing.standardise.as_ref().map(|standardise| Statistics {
            mean: Bin::from_f32(&standardise.mean),
            scale: Bin::from_f32(&standardise.scale),
        });
        Self { impute: preprocessing.impute.as_deref().map(Bin::from_f32), standardise }
    }
}

impl TryFrom<Preparation<'_>> for Preprocessing {
    type Error = Error;

    fn try_from(preparation: Preparation<'_>) -> Result<Self, Error> {
        let impute = preparation.impute.map(|values| values.f32_at("impute")).transpose()?;
        let standardise = match preparation.standardise {
            Some(Statistics { mean, scale }) => Some(Standardise {
                mean: mean.f32_at("standardise.mean")?,
                scale: scale.f32_at("standardise.scale")?,
            }),
            None => None,
        };
        Ok(Self { impute, standardise })
    }
}
