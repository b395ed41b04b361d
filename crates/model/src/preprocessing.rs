use crate::{Error, limits};

/// What happens to a raw row, in this order, before the body sees it. Each part that is present has one value per feature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preprocessing {
    /// Takes the place of NaN. Absent when training saw no missing value; then NaN is refused at inference.
    pub impute: Option<Vec<f32>>,
    /// `(x - mean) / scale`.
    pub standardise: Option<Standardise>,
}

/// Standardisation by the statistics of the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardise {
    /// The mean of each feature.
    pub mean: Vec<f32>,
    /// The population standard deviation of each feature, or 1 where a feature is constant (as scikit-learn's `StandardScaler`).
    pub scale: Vec<f32>,
}

impl Preprocessing {
    /// Checks that each part has one finite value per feature and that scales are above zero.
    pub(crate) fn validate(&self, features: usize) -> Result<(), Error> {
        if let Some(values) = &self.impute {
            limits::length("impute", values.len(), features)?;
            limits::finite("impute", values)?;
        }
        if let Some(Standardise { mean, scale }) = &self.standardise {
            limits::length("standardise.mean", mean.len(), features)?;
            limits::finite("standardise.mean", mean)?;
            limits::length("standardise.scale", scale.len(), features)?;
            limits::positive("standardise.scale", scale)?;
        }
        Ok(())
    }
}
