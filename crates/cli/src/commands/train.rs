use std::path::PathBuf;

use clap::{Args, ValueEnum};
use leat_contract::{Activation, EarlyStopping, JobSpec, Loss, ModelName, Optimiser, Task, TrainSpec};
use serde_json::json;

use crate::arguments::GlobalOptions;
use crate::commands::models::print_manifest;
use crate::progress::JobDisplay;
use crate::session::Session;
use crate::{Error, output};

/// Train a model on a CSV file.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: leat train --name wine --data wine.csv --target cultivar --hidden 64,32 --epochs 200"
)]
pub(crate) struct Train {
    /// The model; it gets a new version.
    #[arg(long, value_name = "MODEL")]
    name: ModelName,
    /// A CSV file with a header and numeric features.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The column to predict.
    #[arg(long, value_name = "COLUMN")]
    target: String,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// Print the id of the job and do not wait for its end.
    #[arg(long)]
    detach: bool,
}

/// How to train.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArguments {
    /// What the target column is; found from its values when absent.
    #[arg(long, value_enum)]
    task: Option<TaskArgument>,
    /// Units of each hidden layer.
    #[arg(long, value_delimiter = ',', default_value = "128,64", value_name = "UNITS")]
    hidden: Vec<u32>,
    /// What is applied after each hidden layer.
    #[arg(long, value_enum, default_value_t = ActivationArgument::Relu)]
    activation: ActivationArgument,
    /// What is minimised; by default cross-entropy for classes and mean squared error for numbers.
    #[arg(long, value_enum)]
    loss: Option<LossArgument>,
    /// How it is minimised.
    #[arg(long, value_enum, default_value_t = OptimiserArgument::AdamW)]
    optimiser: OptimiserArgument,
    /// The step size.
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// For sgd: the share of the last step that is kept.
    #[arg(long)]
    momentum: Option<f64>,
    /// For adam-w: the decoupled weight decay; by default 0.3 for classes and 0.01 for numbers.
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Rows per step.
    #[arg(long, default_value_t = 32, conflicts_with = "full_batch")]
    batch_size: u32,
    /// All rows in one step.
    #[arg(long)]
    full_batch: bool,
    /// Passes over the training rows, at most.
    #[arg(long, default_value_t = 100)]
    epochs: u32,
    /// End after this many epochs without improvement on a tenth of the training rows.
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<u32>,
    /// The share of rows that training never sees and the model is measured on.
    #[arg(long, default_value_t = 0.2)]
    held_out: f64,
    /// The seed of every random choice: the same seed and data give the same bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Leave features as they are instead of bringing them to mean 0 and variance 1.
    #[arg(long)]
    raw_features: bool,
    /// Regression: leave targets as they are while training.
    #[arg(long)]
    raw_target: bool,
    /// Keep every weight between minus and plus this after each step.
    #[arg(long, value_name = "BOUND")]
    weight_clip: Option<f32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TaskArgument {
    Regression,
    Classification,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ActivationArgument {
    Identity,
    Relu,
    Tanh,
    Sigmoid,
    Gelu,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LossArgument {
    Mse,
    CrossEntropy,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OptimiserArgument {
    Sgd,
    Adam,
    AdamW,
}

pub(crate) async fn run(global: &GlobalOptions, train: Train) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let bytes = std::fs::read(&train.data).map_err(Error::io("read", &train.data))?;
    let file =
        train.data.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned());
    let dataset = session.jobs().upload(&file, &bytes).await?;
    let spec = train.recipe.spec(train.name, dataset, train.target);
    submit(&session, JobSpec::Train(spec), train.detach).await
}

/// Hands a job in, and unless detached waits for its end and prints the version that it made.
pub(crate) async fn submit(session: &Session, spec: JobSpec, is_detached: bool) -> Result<(), Error> {
    let title = format!("{} {}", spec.kind(), spec.model());
    let job = session.jobs().submit(spec).await?;
    if is_detached {
        if session.is_json() {
            return output::json(&json!({ "job": job }));
        }
        output::line(job.as_str());
        return Ok(());
    }
    let mut display = JobDisplay::new(&title, session.is_json());
    let made = session.jobs().follow(&job, |event| display.show(event)).await?;
    let reference = made.model.at(made.version);
    print_manifest(session, &session.catalogue().registry().resolve(&reference).await?)
}

impl RecipeArguments {
    /// The job that these arguments describe.
    pub(crate) fn spec(
        &self,
        model: ModelName,
        dataset: leat_contract::DatasetRef,
        target: String,
    ) -> TrainSpec {
        let early_stopping =
            self.patience.map(|patience| EarlyStopping { patience, min_delta: 0.0, validation_ratio: 0.1 });
        TrainSpec {
            model,
            dataset,
            target,
            task: self.task.map(Task::from),
            hidden: self.hidden.clone(),
            activation: self.activation.into(),
            loss: self.loss.map(Loss::from),
            optimiser: self.optimiser.into(),
            learning_rate: self.learning_rate,
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            batch_size: (!self.full_batch).then_some(self.batch_size),
            epochs: self.epochs,
            early_stopping,
            held_out_ratio: self.held_out,
            seed: self.seed,
            standardise: !self.raw_features,
            standardise_target: !self.raw_target,
            weight_clip: self.weight_clip,
        }
    }
}

impl From<TaskArgument> for Task {
    fn from(argument: TaskArgument) -> Self {
        match argument {
            TaskArgument::Regression => Self::Regression,
            TaskArgument::Classification => Self::Classification,
        }
    }
}

impl From<ActivationArgument> for Activation {
    fn from(argument: ActivationArgument) -> Self {
        match argument {
            ActivationArgument::Identity => Self::Identity,
            ActivationArgument::Relu => Self::Relu,
            ActivationArgument::Tanh => Self::Tanh,
            ActivationArgument::Sigmoid => Self::Sigmoid,
            ActivationArgument::Gelu => Self::Gelu,
        }
    }
}

impl From<LossArgument> for Loss {
    fn from(argument: LossArgument) -> Self {
        match argument {
            LossArgument::Mse => Self::Mse,
            LossArgument::CrossEntropy => Self::CrossEntropy,
        }
    }
}

impl From<OptimiserArgument> for Optimiser {
    fn from(argument: OptimiserArgument) -> Self {
        match argument {
            OptimiserArgument::Sgd => Self::Sgd,
            OptimiserArgument::Adam => Self::Adam,
            OptimiserArgument::AdamW => Self::AdamW,
        }
    }
}
