use leat_contract::{
    Activation, CompressStep, DatasetRef, Loss, ModelName, Optimiser, Prune, Quantize, Task, TrainSpec,
};
use leat_training::{CsvOptions, Dataset};

use super::data;
use crate::Error;

/// One story's data, recipe and promises.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) title: &'static str,
    pub(crate) model: ModelName,
    pub(crate) file: &'static str,
    pub(crate) csv: Vec<u8>,
    pub(crate) target: &'static str,
    /// The figure of merit that is shown and promised.
    pub(crate) metric: Metric,
    pub(crate) steps: Vec<CompressStep>,
    pub(crate) promises: Promises,
    task: Task,
}

/// A figure of merit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Metric {
    /// Its name in manifests.
    pub(crate) name: &'static str,
    /// How far it may worsen by compression.
    pub(crate) loss_max: f64,
    /// The least that training must reach.
    pub(crate) least: f64,
}

/// What the demo fails without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promises {
    /// How many times smaller the compressed blob must be.
    pub(crate) times_smaller: f64,
}

const HELD_OUT_RATIO: f64 = 0.2;
const SEED: u64 = 0;

impl Scenario {
    /// Real handwritten digits; prune half of the neurons by L1 norm with fine-tuning, then quantize to int8.
    ///
    /// # Errors
    /// Never, for names that stand here.
    pub(crate) fn digits() -> Result<Self, Error> {
        Ok(Self {
            title: "1,797 handwritten digits, MLP 64-128-64-10",
            model: "digits".parse()?,
            file: "digits.csv",
            csv: data::DIGITS.to_vec(),
            target: "digit",
            metric: Metric { name: "accuracy", loss_max: 0.005, least: 0.97 },
            steps: compression(30),
            promises: Promises { times_smaller: 4.0 },
            task: Task::Classification,
        })
    }

    /// The reference pipeline: MLP 10-64-1, 1,000 random rows, Adam 1e-3, mean squared error, 100 full-batch epochs.
    ///
    /// # Errors
    /// Never, for names that stand here.
    pub(crate) fn regression() -> Result<Self, Error> {
        Ok(Self {
            title: "1,000 random rows, MLP 10-64-1, 100 full-batch epochs",
            model: "regression".parse()?,
            file: "random.csv",
            csv: data::random_rows(),
            target: "y",
            metric: Metric { name: "r2", loss_max: 0.05, least: 0.3 },
            steps: compression(100),
            promises: Promises { times_smaller: 1.2 },
            task: Task::Regression,
        })
    }

    /// The training job.
    pub(crate) fn train(&self, dataset: DatasetRef) -> TrainSpec {
        let common = TrainSpec {
            model: self.model.clone(),
            dataset,
            target: self.target.to_owned(),
            task: Some(self.task),
            hidden: vec![64],
            activation: Activation::Relu,
            loss: Some(Loss::Mse),
            optimiser: Optimiser::Adam,
            learning_rate: 1e-3,
            momentum: None,
            weight_decay: None,
            batch_size: None,
            epochs: 100,
            early_stopping: None,
            held_out_ratio: HELD_OUT_RATIO,
            seed: SEED,
            standardise: true,
            standardise_target: false,
            weight_clip: None,
        };
        match self.task {
            Task::Regression => common,
            Task::Classification => TrainSpec {
                hidden: vec![128, 64],
                loss: Some(Loss::CrossEntropy),
                optimiser: Optimiser::AdamW,
                weight_decay: Some(0.3),
                batch_size: Some(32),
                ..common
            },
        }
    }

    /// The rows that training never sees, split off by the same rule and seed.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub(crate) fn held_out(&self) -> Result<Dataset, Error> {
        let task = match self.task {
            Task::Regression => leat_model::Task::Regression,
            Task::Classification => leat_model::Task::Classification,
        };
        let options = CsvOptions { target: self.target.to_owned(), task: Some(task) };
        Ok(Dataset::from_csv(&self.csv, &options)?.split(HELD_OUT_RATIO, SEED)?.held_out)
    }
}

fn compression(fine_tune_epochs: u32) -> Vec<CompressStep> {
    vec![
        CompressStep::Prune(Prune::L1Neurons { rate: 0.5, fine_tune_epochs }),
        CompressStep::Quantize(Quantize::Int8 {
            calibration: Default::default(),
            per_channel: true,
            reduce_range: true,
        }),
    ]
}
