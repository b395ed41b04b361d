use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

use crate::Loss;

/// What rows should give, by row of the data set, in the units the network is trained in.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    pub(crate) loss: Loss,
    pub(crate) truth: Truth,
    pub(crate) soft: Option<SoftTargets>,
}

/// The truth, by row of the data set.
#[derive(Clone, Debug)]
pub(crate) enum Truth {
    Classes(Vec<usize>),
    /// `[rows, targets]`, standardised where the recipe says so.
    Values(Array2<f32>),
}

/// What a teacher gives for each row.
#[derive(Clone, Debug)]
pub(crate) struct SoftTargets {
    /// `[rows, outputs]`: for classes the probabilities at `temperature`, else predictions in training units.
    pub(crate) values: Array2<f32>,
    pub(crate) temperature: f32,
    /// The weight of the teacher against the truth.
    pub(crate) alpha: f32,
}

impl Objective {
    /// The sum of the losses of some rows. `outputs` is what the network gave, `[rows, outputs]`; `rows` says which rows of the
    /// data set these are. `slopes` is set to the derivative of the sum by each output.
    pub(crate) fn measure(
        &self,
        rows: &[usize],
        outputs: ArrayView2<'_, f32>,
        mut slopes: ArrayViewMut2<'_, f32>,
    ) -> f64 {
        let each = rows.iter().zip(outputs.rows()).zip(slopes.rows_mut());
        each.map(|((&row, output), slope)| self.measure_row(row, output, slope)).sum()
    }

    fn measure_row(&self, row: usize, output: ArrayView1<'_, f32>, mut slope: ArrayViewMut1<'_, f32>) -> f64 {
        let hard = self.measure_truth(row, output, slope.view_mut());
        let Some(soft) = &self.soft else { return hard };
        slope *= 1.0 - soft.alpha;
        let teacher = soft.values.row(row);
        let distance = match self.truth {
            Truth::Classes(_) => soft.add_divergence(output, teacher, slope),
            Truth::Values(_) => soft.add_squared_error(output, teacher, slope),
        };
        f64::from(1.0 - soft.alpha) * hard + f64::from(soft.alpha) * distance
    }

    fn measure_truth(&self, row: usize, output: ArrayView1<'_, f32>, slope: ArrayViewMut1<'_, f32>) -> f64 {
        match (&self.truth, self.loss) {
            (Truth::Values(values), _) => squared_error(output, values.row(row), slope),
            (Truth::Classes(classes), Loss::CrossEntropy) => cross_entropy(output, classes[row], slope),
            (Truth::Classes(classes), Loss::Mse) => brier(output, classes[row], slope),
        }
    }
}

impl SoftTargets {
    /// `T² · KL(teacher ‖ student)` at temperature `T` (Hinton, Vinyals and Dean, 2015).
    fn add_divergence(
        &self,
        output: ArrayView1<'_, f32>,
        teacher: ArrayView1<'_, f32>,
        mut slope: ArrayViewMut1<'_, f32>,
    ) -> f64 {
        let t = self.temperature;
        let (largest, log_sum) = log_sum_exp(output, t);
        let mut divergence = 0.0;
        for ((&z, &wanted), slope) in output.iter().zip(teacher).zip(&mut slope) {
            let log_given = (z - largest) / t - log_sum;
            *slope += self.alpha * t * (log_given.exp() - wanted);
            if wanted > 0.0 {
                divergence += f64::from(wanted) * f64::from(wanted.ln() - log_given);
            }
        }
        f64::from(t * t) * divergence
    }

    fn add_squared_error(
        &self,
        output: ArrayView1<'_, f32>,
        teacher: ArrayView1<'_, f32>,
        mut slope: ArrayViewMut1<'_, f32>,
    ) -> f64 {
        let per_output = 1.0 / output.len() as f32;
        let mut sum = 0.0;
        for ((&given, &wanted), slope) in output.iter().zip(teacher).zip(&mut slope) {
            let error = given - wanted;
            *slope += self.alpha * 2.0 * error * per_output;
            sum += f64::from(error) * f64::from(error);
        }
        sum * f64::from(per_output)
    }
}

/// Softmax of `logits / temperature`, in place.
pub(crate) fn softmax(logits: ArrayViewMut1<'_, f32>, temperature: f32) {
    let (largest, log_sum) = log_sum_exp(logits.view(), temperature);
    for z in logits {
        *z = ((*z - largest) / temperature - log_sum).exp();
    }
}

/// The largest logit, and the logarithm of the sum of `exp((z - largest) / temperature)`.
fn log_sum_exp(logits: ArrayView1<'_, f32>, temperature: f32) -> (f32, f32) {
    // A comparison with NaN is false, so NaN is carried by the sum rather than by the maximum.
    let largest = logits.iter().fold(f32::NEG_INFINITY, |largest, &z| if z > largest { z } else { largest });
    let sum: f32 = logits.iter().map(|z| ((z - largest) / temperature).exp()).sum();
    (largest, sum.ln())
}

fn squared_error(
    output: ArrayView1<'_, f32>,
    truth: ArrayView1<'_, f32>,
    slope: ArrayViewMut1<'_, f32>,
) -> f64 {
    let per_output = 1.0 / output.len() as f32;
    let mut sum = 0.0;
    for ((&given, &wanted), slope) in output.iter().zip(truth).zip(slope) {
        let error = given - wanted;
        *slope = 2.0 * error * per_output;
        sum += f64::from(error) * f64::from(error);
    }
    sum * f64::from(per_output)
}

fn cross_entropy(output: ArrayView1<'_, f32>, class: usize, slope: ArrayViewMut1<'_, f32>) -> f64 {
    let (largest, log_sum) = log_sum_exp(output, 1.0);
    let mut loss = 0.0;
    for ((position, &z), slope) in output.iter().enumerate().zip(slope) {
        let log_probability = z - largest - log_sum;
        *slope = log_probability.exp();
        if position == class {
            *slope -= 1.0;
            loss = -f64::from(log_probability);
        }
    }
    loss
}

/// The mean squared error between the softmax and the one-hot truth, with its slope taken through the softmax.
fn brier(output: ArrayView1<'_, f32>, class: usize, mut slope: ArrayViewMut1<'_, f32>) -> f64 {
    let per_output = 1.0 / output.len() as f32;
    let (largest, log_sum) = log_sum_exp(output, 1.0);
    let probability = |z: f32| (z - largest - log_sum).exp();
    let (mut loss, mut inner) = (0.0, 0.0);
    for ((position, &z), slope) in output.iter().enumerate().zip(&mut slope) {
        let given = probability(z);
        let error = if position == class { given - 1.0 } else { given };
        *slope = 2.0 * error * per_output;
        inner += *slope * given;
        loss += f64::from(error) * f64::from(error);
    }
    for (&z, slope) in output.iter().zip(&mut slope) {
        *slope = probability(z) * (*slope - inner);
    }
    loss * f64::from(per_output)
}

#[cfg(test)]
mod tests;
