use crate::random::{Purpose, Random};
use crate::{Dataset, Error, Target};

/// A data set in two parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// What the optimiser sees.
    pub train: Dataset,
    /// What it never sees.
    pub held_out: Dataset,
}

/// Row positions of the two parts, each in ascending order.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) kept: Vec<usize>,
    pub(crate) set_aside: Vec<usize>,
}

impl Dataset {
    /// Sets a random share of the rows aside, `round(rows · ratio)` of them and at least one.
    ///
    /// Classes keep their shares (largest remainders), and a class with two rows or more is present in both parts, which may move
    /// the count a little. A class with a single row stays in `train`. The same rows, ratio and seed give the same parts.
    ///
    /// Fails when `held_out_ratio` is not between 0 and 1, or when there are fewer than two rows.
    pub fn split(&self, held_out_ratio: f64, seed: u64) -> Result<Split, Error> {
        let parts = divide(&self.target, self.len(), held_out_ratio, Random::new(seed, Purpose::HeldOut))?;
        Ok(Split { train: self.select(&parts.kept)?, held_out: self.select(&parts.set_aside)? })
    }
}

/// Divides `0..rows` at random, stratified by class where there are classes.
pub(crate) fn divide(target: &Target, rows: usize, ratio: f64, mut random: Random) -> Result<Parts, Error> {
    if !(ratio > 0.0 && ratio < 1.0) {
        return Err(Error::Data(format!(
            "cannot set a share of {ratio} aside, expected above 0 and below 1"
        )));
    }
    if rows < 2 {
        return Err(Error::Data(format!("cannot divide {rows} rows in two parts")));
    }
    let mut groups: Vec<Vec<usize>> = match target {
        Target::Values(_) => vec![(0..rows).collect()],
        Target::Classes { labels, indices } => group_by_class(labels.len(), indices),
    };
    groups.retain(|group| !group.is_empty());
    let counts: Vec<usize> = groups.iter().map(Vec::len).collect();
    let mut parts = Parts { kept: Vec::new(), set_aside: Vec::new() };
    for (group, quota) in groups.iter_mut().zip(quotas(&counts, ratio)) {
        random.shuffle(group);
        let (set_aside, kept) = group.split_at(quota);
        parts.set_aside.extend_from_slice(set_aside);
        parts.kept.extend_from_slice(kept);
    }
    if parts.set_aside.is_empty() {
        return Err(Error::Data("every class has a single row, nothing can be set aside".to_owned()));
    }
    parts.kept.sort_unstable();
    parts.set_aside.sort_unstable();
    Ok(parts)
}

fn group_by_class(classes: usize, indices: &[usize]) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); classes];
    for (row, &class) in indices.iter().enumerate() {
        if let Some(group) = groups.get_mut(class) {
            group.push(row);
        }
    }
    groups
}

/// How many rows of each group are set aside: whole parts first, then one more for the largest remainders, then the bounds that
/// keep a group of two or more in both parts.
fn quotas(counts: &[usize], ratio: f64) -> Vec<usize> {
    let total = (counts.iter().sum::<usize>() as f64 * ratio).round() as usize;
    let ideal = |count: usize| count as f64 * ratio;
    let mut quotas: Vec<usize> = counts.iter().map(|&count| ideal(count) as usize).collect();
    let mut by_remainder: Vec<(f64, usize)> =
        counts.iter().map(|&count| ideal(count).fract()).zip(0..counts.len()).collect();
    by_remainder.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let open = total.saturating_sub(quotas.iter().sum());
    for (_, group) in by_remainder.into_iter().take(open) {
        if let Some(quota) = quotas.get_mut(group) {
            *quota += 1;
        }
    }
    quotas
        .into_iter()
        .zip(counts)
        .map(|(quota, &count)| if count < 2 { 0 } else { quota.clamp(1, count - 1) })
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    fn classes(indices: Vec<usize>, count: usize) -> Dataset {
        let rows = Array2::from_shape_fn((indices.len(), 1), |(row, _)| row as f32);
        let labels = (0..count).map(|label| label.to_string()).collect();
        let target = Target::Classes { labels, indices };
        Dataset { features: vec!["x".into()], rows, target, target_name: "y".into(), has_missing: false }
    }

    #[test]
    fn classes_keep_their_shares() {
        let data = classes((0..100).map(|row| usize::from(row % 10 == 0)).collect(), 2);
        let split = data.split(0.2, 3).unwrap();
        assert_eq!((split.train.len(), split.held_out.len()), (80, 20));
        let Target::Classes { indices, .. } = &split.held_out.target else { panic!("classes stay classes") };
        assert_eq!(indices.iter().sum::<usize>(), 2);
        assert_eq!(split, data.split(0.2, 3).unwrap());
        assert_ne!(split, data.split(0.2, 4).unwrap());
    }

    #[test]
    fn a_rare_class_is_in_both_parts_and_a_single_row_stays_in_train() {
        let mut indices = vec![0; 50];
        indices.extend([1, 1, 2]);
        let split = classes(indices, 3).split(0.1, 0).unwrap();
        let of = |data: &Dataset, class| match &data.target {
            Target::Classes { indices, .. } => indices.iter().filter(|&&index| index == class).count(),
            Target::Values(_) => 0,
        };
        assert_eq!((of(&split.train, 1), of(&split.held_out, 1)), (1, 1));
        assert_eq!((of(&split.train, 2), of(&split.held_out, 2)), (1, 0));
    }

    #[test]
    fn impossible_splits_are_refused() {
        let data = classes(vec![0, 1], 2);
        assert!(data.split(0.0, 0).is_err());
        assert!(data.split(1.0, 0).is_err());
        assert!(data.split(f64::NAN, 0).is_err());
        assert!(data.split(0.5, 0).is_err(), "each class has one row");
        assert!(classes(vec![0], 2).split(0.5, 0).is_err());
    }

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_part(
            indices in proptest::collection::vec(0..5_usize, 20..200), ratio in 0.01..0.99_f64, seed: u64,
        ) {
            let data = classes(indices, 5);
            let split = data.split(ratio, seed).unwrap();
            let mut seen: Vec<f32> = split.train.rows.iter().chain(&split.held_out.rows).copied().collect();
            seen.sort_by(f32::total_cmp);
            prop_assert_eq!(seen, data.rows.iter().copied().collect::<Vec<_>>());
            prop_assert!(!split.train.is_empty() && !split.held_out.is_empty());
        }
    }
}
