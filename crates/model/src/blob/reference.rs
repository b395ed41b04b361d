use serde::{Deserialize, Serialize};

use super::Bin;
use crate::{Error, FeatureProfile, ReferenceProfile, limits};

/// The reference profile by columns, because the same names repeated for every feature would outweigh the weights of a
/// small model.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference<'a> {
    rows: u64,
    /// The edges of all features, one feature after the other, f32 each.
    #[serde(borrow)]
    edges: Bin<'a>,
    /// One array per feature; it has one entry more than the feature has edges.
    counts: Vec<Vec<u32>>,
    /// One per feature.
    missing: Vec<u32>,
    /// One f32 per class, or none.
    #[serde(borrow)]
    class_ratios: Bin<'a>,
}

impl From<&ReferenceProfile> for Reference<'_> {
    fn from(profile: &ReferenceProfile) -> Self {
        let edges = profile.features.iter().flat_map(|feature| &feature.edges);
        Self {
            rows: profile.rows,
            edges: Bin::from_words(edges.map(|edge| edge.to_le_bytes())),
            counts: profile.features.iter().map(|feature| feature.counts.clone()).collect(),
            missing: profile.features.iter().map(|feature| feature.missing).collect(),
            class_ratios: Bin::from_f32(&profile.class_ratios),
        }
    }
}

impl TryFrom<Reference<'_>> for ReferenceProfile {
    type Error = Error;

    fn try_from(reference: Reference<'_>) -> Result<Self, Error> {
        limits::length("missing", reference.missing.len(), reference.counts.len())?;
        let edges = reference.edges.f32_at("edges")?;
        let mut edges = edges.as_slice();
        let mut features = Vec::with_capacity(reference.counts.len());
        for (counts, missing) in reference.counts.into_iter().zip(reference.missing) {
            let edge_count = counts.len().saturating_sub(1);
            let Some((own, rest)) = edges.split_at_checked(edge_count) else {
                return Err(Error::invalid("edges", "has fewer values than the counts ask for"));
            };
            edges = rest;
            features.push(FeatureProfile { edges: own.to_vec(), counts, missing });
        }
        if !edges.is_empty() {
            return Err(Error::invalid("edges", "has more values than the counts ask for"));
        }
        Ok(Self {
            rows: reference.rows,
            features,
            class_ratios: reference.class_ratios.f32_at("class_ratios")?,
        })
    }
}
