use crate::limits::PROFILE_EDGES_MAX;
use crate::{Error, limits};

/// Summary of the training features, against which live traffic is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceProfile {
    /// How many training rows it summarises.
    pub rows: u64,
    /// One per feature, in order.
    pub features: Vec<FeatureProfile>,
    /// Share of each class among the training rows; empty for regression.
    pub class_ratios: Vec<f32>,
}

/// The distribution of one feature as counts in fixed bins.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureProfile {
    /// Inner bin edges, strictly increasing, at most 9 (deciles with equal ones merged). Bin `i` holds `edges[i-1] <= x < edges[i]`.
    pub edges: Vec<f32>,
    /// One count per bin, `edges.len() + 1` of them.
    pub counts: Vec<u32>,
    /// How many values were missing.
    pub missing: u32,
}

impl ReferenceProfile {
    /// Checks every feature, and that ratios are there for each of `classes` (0 for regression) and sum to 1.
    pub(crate) fn validate(&self, features: usize, classes: usize) -> Result<(), Error> {
        const RATIO_SUM_TOLERANCE: f32 = 1e-3;
        limits::length("features", self.features.len(), features)?;
        for (index, feature) in self.features.iter().enumerate() {
            feature.validate(self.rows).map_err(|error| error.within(format!("features[{index}]")))?;
        }
        limits::length("class_ratios", self.class_ratios.len(), classes)?;
        let is_ratio = |value: &f32| (0.0..=1.0).contains(value);
        let sum: f32 = self.class_ratios.iter().sum();
        let sums_to_one = classes == 0 || (sum - 1.0).abs() <= RATIO_SUM_TOLERANCE;
        if !(self.class_ratios.iter().all(is_ratio) && sums_to_one) {
            return Err(Error::invalid("class_ratios", "are not shares that sum to 1"));
        }
        Ok(())
    }
}

impl FeatureProfile {
    fn validate(&self, rows: u64) -> Result<(), Error> {
        limits::count("edges", self.edges.len(), 0, PROFILE_EDGES_MAX)?;
        limits::finite("edges", &self.edges)?;
        if !self.edges.is_sorted_by(|edge, next| edge < next) {
            return Err(Error::invalid("edges", "are not strictly increasing"));
        }
        limits::length("counts", self.counts.len(), self.edges.len() + 1)?;
        let counted: u64 = self.counts.iter().chain([&self.missing]).map(|count| u64::from(*count)).sum();
        if counted != rows {
            return Err(Error::invalid("counts", format!("speak of {counted} rows, the profile of {rows}")));
        }
        Ok(())
    }
}
