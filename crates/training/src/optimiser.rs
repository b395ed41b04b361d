use crate::Optimiser;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// What an optimiser remembers between steps; one value per parameter and moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    /// Steps taken so far.
    pub(crate) steps: u64,
    /// The velocity of SGD, or the mean of gradients; empty when the rule needs none.
    pub(crate) first: Vec<f32>,
    /// The mean of squared gradients; empty for SGD.
    pub(crate) second: Vec<f32>,
}

impl Moments {
    /// The state before the first step.
    pub(crate) fn new(rule: Optimiser, parameters: usize) -> Self {
        let (first, second) = match rule {
            Optimiser::Sgd { momentum: 0.0 } => (0, 0),
            Optimiser::Sgd { .. } => (parameters, 0),
            Optimiser::Adam | Optimiser::AdamW { .. } => (parameters, parameters),
        };
        Self { steps: 0, first: vec![0.0; first], second: vec![0.0; second] }
    }

    /// Moves the parameters against the gradient.
    pub(crate) fn step(
        &mut self,
        rule: Optimiser,
        learning_rate: f64,
        gradient: &[f32],
        parameters: &mut [f32],
    ) {
        self.steps += 1;
        match rule {
            Optimiser::Sgd { momentum } => {
                self.sgd(momentum as f32, learning_rate as f32, gradient, parameters)
            }
            Optimiser::Adam => self.adam(learning_rate, gradient, parameters),
            Optimiser::AdamW { weight_decay } => {
                let keep = (1.0 - learning_rate * weight_decay) as f32;
                parameters.iter_mut().for_each(|parameter| *parameter *= keep);
                self.adam(learning_rate, gradient, parameters);
            }
        }
    }

    fn sgd(&mut self, momentum: f32, rate: f32, gradient: &[f32], parameters: &mut [f32]) {
        if self.first.is_empty() {
            parameters.iter_mut().zip(gradient).for_each(|(parameter, g)| *parameter -= rate * g);
            return;
        }
        for ((parameter, g), velocity) in parameters.iter_mut().zip(gradient).zip(&mut self.first) {
            *velocity = momentum * *velocity + g;
            *parameter -= rate * *velocity;
        }
    }

    fn adam(&mut self, learning_rate: f64, gradient: &[f32], parameters: &mut [f32]) {
        let steps = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let step_size = (learning_rate / (1.0 - BETA_1.powi(steps))) as f32;
        let root_correction = (1.0 / (1.0 - BETA_2.powi(steps)).sqrt()) as f32;
        let (keep_1, keep_2) = (BETA_1 as f32, BETA_2 as f32);
        let (take_1, take_2) = ((1.0 - BETA_1) as f32, (1.0 - BETA_2) as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((parameter, g), (mean, square)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *mean = keep_1 * *mean + take_1 * g;
            *square = keep_2 * *square + take_2 * g * g;
            *parameter -= step_size * *mean / (square.sqrt() * root_correction + EPSILON);
        }
    }
}
