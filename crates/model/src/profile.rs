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
