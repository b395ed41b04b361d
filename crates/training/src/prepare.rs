use leat_model::{Preprocessing, Standardise};
use ndarray::Array2;

use crate::parameters::Parameters;
use crate::{Dataset, Recipe, Target};

/// Learns from the rows at `fitted` what happens to a raw row before the network sees it. Missing values are replaced by the mean
/// of the feature, and only where the table has any: otherwise a missing value at inference is an error of the caller.
pub(crate) fn learn_preprocessing(data: &Dataset, fitted: &[usize], recipe: &Recipe) -> Preprocessing {
    let columns: Vec<Moments> = (0..data.features.len())
        .map(|column| Moments::of(fitted.iter().map(|&row| f64::from(data.rows[[row, column]]))))
        .collect();
    Preprocessing {
        impute: data.has_missing.then(|| columns.iter().map(|moments| moments.mean as f32).collect()),
        standardise: recipe.standardise.then(|| Standardise {
            mean: columns.iter().map(|moments| moments.mean as f32).collect(),
            scale: columns.iter().map(Moments::scale).collect(),
        }),
    }
}

/// The rows as the network sees them, `[rows, features]`.
pub(crate) fn apply_preprocessing(preprocessing: &Preprocessing, rows: &Array2<f32>) -> Array2<f32> {
    let mut prepared = rows.as_standard_layout().into_owned();
    for mut row in prepared.rows_mut() {
        if let Some(substitutes) = &preprocessing.impute {
            for (value, substitute) in row.iter_mut().zip(substitutes) {
                if value.is_nan() {
                    *value = *substitute;
                }
            }
        }
        if let Some(Standardise { mean, scale }) = &preprocessing.standardise {
            for ((value, mean), scale) in row.iter_mut().zip(mean).zip(scale) {
                *value = (*value - mean) / scale;
            }
        }
    }
    prepared
}

/// Mean and scale of each regression target, so that training sees numbers near one whatever the unit.
#[derive(Clone, Debug)]
pub(crate) struct TargetScaling {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

impl TargetScaling {
    /// The scaling that the rows at `fitted` ask for; none for classes or when the recipe does not want it.
    pub(crate) fn learn(data: &Dataset, fitted: &[usize], recipe: &Recipe) -> Option<Self> {
        let Target::Values(values) = &data.target else { return None };
        if !recipe.standardise_target {
            return None;
        }
        let columns: Vec<Moments> = (0..values.ncols())
            .map(|column| Moments::of(fitted.iter().map(|&row| f64::from(values[[row, column]]))))
            .collect();
        Some(Self {
            mean: columns.iter().map(|moments| moments.mean as f32).collect(),
            scale: columns.iter().map(Moments::scale).collect(),
        })
    }

    /// From the unit of the data to training units.
    pub(crate) fn apply(&self, values: &Array2<f32>) -> Array2<f32> {
        let mut scaled = values.as_standard_layout().into_owned();
        for mut row in scaled.rows_mut() {
            for ((value, mean), scale) in row.iter_mut().zip(&self.mean).zip(&self.scale) {
                *value = (*value - mean) / scale;
            }
        }
        scaled
    }

    /// Turns a network that gives training units into one that gives the unit of the data.
    pub(crate) fn fold_into(&self, parameters: &mut Parameters) {
        self.change_last_layer(
            parameters,
            |value, scale| value * scale,
            |bias, mean, scale| bias * scale + mean,
        );
    }

    /// The opposite of [`Self::fold_into`].
    pub(crate) fn take_out_of(&self, parameters: &mut Parameters) {
        self.change_last_layer(
            parameters,
            |value, scale| value / scale,
            |bias, mean, scale| (bias - mean) / scale,
        );
    }

    fn change_last_layer(
        &self,
        parameters: &mut Parameters,
        change_weight: impl Fn(f32, f32) -> f32,
        change_bias: impl Fn(f32, f32, f32) -> f32,
    ) {
        let Some(layer) = parameters.layers.last() else { return };
        let rows = parameters.values[layer.weights.clone()].chunks_exact_mut(layer.inputs);
        for (row, scale) in rows.zip(&self.scale) {
            row.iter_mut().for_each(|weight| *weight = change_weight(*weight, *scale));
        }
        let biases = parameters.values[layer.bias.clone()].iter_mut();
        for ((bias, mean), scale) in biases.zip(&self.mean).zip(&self.scale) {
            *bias = change_bias(*bias, *mean, *scale);
        }
    }
}

/// Mean and population standard deviation of the values that are present.
struct Moments {
    mean: f64,
    deviation: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let present = values.filter(|value| !value.is_nan());
        let count = present.clone().count().max(1) as f64;
        let mean = present.clone().sum::<f64>() / count;
        let variance = present.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Self { mean, deviation: variance.sqrt() }
    }

    /// The deviation, or 1 where it is lost in the rounding of the mean (a constant feature).
    fn scale(&self) -> f32 {
        let is_constant = self.deviation <= 10.0 * f64::EPSILON * self.mean.abs();
        let scale = self.deviation as f32;
        if is_constant || scale < f32::MIN_POSITIVE { 1.0 } else { scale }
    }
}

#[cfg(test)]
mod tests {
    use leat_model::Task;
    use ndarray::array;

    use super::*;

    fn data(rows: Array2<f32>) -> Dataset {
        let features = (0..rows.ncols()).map(|column| format!("x{column}")).collect();
        let target = Target::Values(rows.column(0).mapv(|x| 100.0 * x + 7.0).insert_axis(ndarray::Axis(1)));
        let has_missing = rows.iter().any(|value| value.is_nan());
        Dataset { features, rows, target, target_name: "y".into(), has_missing }
    }

    #[test]
    fn statistics_are_those_of_the_population_and_constants_keep_scale_one() {
        let data = data(array![[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [6.0, 5.0]]);
        let learnt = learn_preprocessing(&data, &[0, 1, 2, 3], &Recipe::for_task(Task::Regression));
        assert_eq!(learnt.impute, None);
        let standardise = learnt.standardise.unwrap();
        assert_eq!(standardise.mean, [3.0, 5.0]);
        assert_eq!(standardise.scale, [3.5_f32.sqrt(), 1.0]);
    }

    #[test]
    fn missing_values_become_the_mean_of_those_present() {
        let data = data(array![[1.0, f32::NAN], [2.0, 4.0], [3.0, 8.0]]);
        let learnt = learn_preprocessing(&data, &[0, 1, 2], &Recipe::for_task(Task::Regression));
        assert_eq!(learnt.impute.as_deref(), Some([2.0, 6.0].as_slice()));
        assert_eq!(apply_preprocessing(&learnt, &data.rows)[[0, 1]], 0.0);
    }

    #[test]
    fn folding_the_target_scale_in_and_out_gives_the_same_network() {
        let data = data(array![[1.0], [2.0], [4.0]]);
        let recipe = Recipe::for_task(Task::Regression);
        let scaling = TargetScaling::learn(&data, &[0, 1, 2], &recipe).unwrap();
        let original = Parameters::initial(1, 1, &recipe).unwrap();
        let mut changed = original.clone();
        scaling.fold_into(&mut changed);
        assert_ne!(changed.values, original.values);
        scaling.take_out_of(&mut changed);
        for (a, b) in changed.values.iter().zip(&original.values) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}
