use leat_model::{FeatureProfile, ReferenceProfile};

use crate::{Dataset, Target};

/// Bins of equal share that a feature is divided into where its values allow.
const BINS: usize = 10;

/// Summarises the raw features of a data set, for comparison with live traffic.
///
/// Inner edges are the deciles of the values that are present (element `⌊n·k/10⌋` of the sorted values), equal ones merged. A constant
/// feature has two edges that enclose exactly its value, so that a change in either direction shows.
pub fn reference_profile(data: &Dataset) -> ReferenceProfile {
    let features = data.rows.columns().into_iter().map(|column| feature_profile(column.iter().copied()));
    ReferenceProfile {
        rows: data.len() as u64,
        features: features.collect(),
        class_ratios: class_ratios(data),
    }
}

fn feature_profile(values: impl Iterator<Item = f32> + Clone) -> FeatureProfile {
    let mut present: Vec<f32> = values.clone().filter(|value| !value.is_nan()).collect();
    present.sort_by(f32::total_cmp);
    let edges = edges(&present);
    let mut counts = vec![0_u32; edges.len() + 1];
    for value in &present {
        let bin = edges.partition_point(|edge| edge <= value);
        if let Some(count) = counts.get_mut(bin) {
            *count = count.saturating_add(1);
        }
    }
    let missing = values.filter(|value| value.is_nan()).count();
    FeatureProfile { edges, counts, missing: u32::try_from(missing).unwrap_or(u32::MAX) }
}

fn edges(sorted: &[f32]) -> Vec<f32> {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else { return Vec::new() };
    if first == last {
        // The largest finite value has no finite neighbour above.
        return [*first, first.next_up()].into_iter().filter(|edge| edge.is_finite()).collect();
    }
    let deciles = (1..BINS).filter_map(|k| sorted.get(sorted.len() * k / BINS).copied());
    // Adding zero turns -0 into 0, so that the two cannot stand side by side as equal edges.
    let mut edges: Vec<f32> = deciles.map(|edge| edge + 0.0).collect();
    edges.dedup();
    edges
}

fn class_ratios(data: &Dataset) -> Vec<f32> {
    let Target::Classes { labels, indices } = &data.target else { return Vec::new() };
    let mut counts = vec![0_u64; labels.len()];
    for &index in indices {
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    }
    counts.iter().map(|count| (*count as f64 / indices.len().max(1) as f64) as f32).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn profile(values: &[f32]) -> FeatureProfile {
        feature_profile(values.iter().copied())
    }

    #[test]
    fn distinct_values_fall_into_ten_equal_bins() {
        let values: Vec<f32> = (0..100).map(|value| value as f32).collect();
        let profile = profile(&values);
        assert_eq!(profile.edges, [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]);
        assert_eq!(profile.counts, [10; 10]);
    }

    #[test]
    fn equal_deciles_are_merged_and_missing_values_are_counted_apart() {
        let mut values = vec![0.0; 75];
        values.extend([-0.0, 4.0, 5.0, 6.0, f32::NAN]);
        values.extend(vec![9.0; 20]);
        let profile = profile(&values);
        assert_eq!(profile.edges, [0.0, 9.0]);
        assert_eq!(profile.counts, [0, 79, 20]);
        assert_eq!(profile.missing, 1);
    }

    #[test]
    fn a_constant_feature_is_enclosed_on_both_sides() {
        let profile = profile(&[3.0; 7]);
        assert_eq!(profile.edges, [3.0, 3.0_f32.next_up()]);
        assert_eq!(profile.counts, [0, 7, 0]);
    }

    #[test]
    fn class_ratios_are_shares_of_the_rows() {
        let target = Target::Classes { labels: vec!["a".into(), "b".into()], indices: vec![0, 1, 1, 1] };
        let rows = Array2::zeros((4, 1));
        let data =
            Dataset { features: vec!["x".into()], rows, target, target_name: "y".into(), has_missing: false };
        assert_eq!(reference_profile(&data).class_ratios, [0.25, 0.75]);
    }
}
