use clap::{Args, ValueEnum};
use leat_contract::{
    Calibration, ClipMode, CompressSpec, CompressStep, JobSpec, ModelRef, Prune, PruneScope, Quantize,
};

use crate::Error;
use crate::arguments::GlobalOptions;
use crate::commands::train::submit;
use crate::session::Session;

/// Make a smaller, faster version of a model. Steps run in this order: distil, clip, prune, fine-tune, quantize.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  leat compress wine@1 --prune 0.5 --quantize int8\n  \
                        leat compress wine@1 --steps '[{\"clip\":{\"epsilon\":0.5}},{\"quantize\":{\"q\":100}}]'")]
pub(crate) struct Compress {
    /// The version to begin with, for example wine@1.
    model: ModelRef,
    /// Train a student with these hidden layers to answer like this model.
    #[arg(long, value_delimiter = ',', value_name = "UNITS")]
    distil: Option<Vec<u32>>,
    /// What the logits are divided by while distilling.
    #[arg(long, default_value_t = 4.0)]
    temperature: f32,
    /// Limit weights to plus and minus this.
    #[arg(long, value_name = "EPSILON")]
    clip: Option<f32>,
    /// How weights are clipped: clamp(w), or literally w * clip(|w|, 0, epsilon).
    #[arg(long, value_enum, default_value_t = ClipArgument::Clamp)]
    clip_mode: ClipArgument,
    /// Remove this share: of neurons, or of weights or blocks with --prune-by.
    #[arg(long, value_name = "RATE")]
    prune: Option<f32>,
    /// What is removed.
    #[arg(long, value_enum, default_value_t = PruneArgument::Neurons)]
    prune_by: PruneArgument,
    /// Set weights to zero whose absolute value is not above this.
    #[arg(long, value_name = "THETA", conflicts_with = "prune")]
    prune_threshold: Option<f32>,
    /// Passes over the training rows after pruning.
    #[arg(long, default_value_t = 30)]
    fine_tune_epochs: u32,
    /// `int8`, or `q=<number>` for round(w * q) as written.
    #[arg(long, value_parser = quantization, value_name = "HOW")]
    quantize: Option<QuantizeArgument>,
    /// How ranges are chosen for int8: min-max, mse, or a percentile such as 99.9.
    #[arg(long, value_parser = calibration, default_value = "min-max", value_name = "HOW")]
    calibration: Calibration,
    /// Let int8 codes use their whole range, for processors with 8-bit dot products (VNNI, AMX, NEON) only.
    #[arg(long, requires = "quantize")]
    full_range: bool,
    /// All steps as JSON, in any order; see the schema of compression jobs.
    #[arg(long, value_parser = steps, conflicts_with_all = ["distil", "clip", "prune", "prune_threshold", "quantize"])]
    steps: Option<Steps>,
    /// The seed of every random choice.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print the id of the job and do not wait for its end.
    #[arg(long)]
    detach: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ClipArgument {
    Clamp,
    Literal,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PruneArgument {
    /// Whole neurons, the smallest L1 norm first; layers become smaller.
    Neurons,
    /// Single weights, the smallest of the whole network first.
    Weights,
    /// Single weights, the smallest of each layer first.
    WeightsPerLayer,
    /// Blocks of four neighbouring weights, the smallest of each layer first; 8-bit layers run without them.
    Blocks,
}

#[derive(Clone, Copy, Debug)]
enum QuantizeArgument {
    Int8,
    Q(f32),
}

/// A list that clap takes as one value.
#[derive(Clone, Debug)]
struct Steps(Vec<CompressStep>);

pub(crate) async fn run(global: &GlobalOptions, compress: Compress) -> Result<(), Error> {
    let session = Session::open(global).await?;
    let parent = session.catalogue().registry().resolve(&compress.model).await?;
    let steps = compress.steps();
    if steps.is_empty() {
        return Err(Error::Usage("say what to do: for example --prune 0.5 --quantize int8".to_owned()));
    }
    let spec = CompressSpec {
        model: parent.model,
        version: parent.version,
        steps,
        dataset: None,
        seed: compress.seed,
    };
    submit(&session, JobSpec::Compress(spec), compress.detach).await
}

impl Compress {
    fn steps(&self) -> Vec<CompressStep> {
        if let Some(Steps(steps)) = &self.steps {
            return steps.clone();
        }
        let steps =
            [self.distillation(), self.clipping(), self.pruning(), self.fine_tuning(), self.quantization()];
        steps.into_iter().flatten().collect()
    }

    fn distillation(&self) -> Option<CompressStep> {
        let hidden = self.distil.clone()?;
        Some(CompressStep::Distil { hidden, temperature: self.temperature, alpha: 0.9, epochs: 100 })
    }

    fn clipping(&self) -> Option<CompressStep> {
        let mode = match self.clip_mode {
            ClipArgument::Clamp => ClipMode::Clamp,
            ClipArgument::Literal => ClipMode::Literal,
        };
        Some(CompressStep::Clip { mode, epsilon: self.clip? })
    }

    fn pruning(&self) -> Option<CompressStep> {
        if let Some(threshold) = self.prune_threshold {
            return Some(CompressStep::Prune(Prune::Threshold(threshold)));
        }
        let rate = self.prune?;
        Some(CompressStep::Prune(match self.prune_by {
            PruneArgument::Neurons => Prune::L1Neurons { rate, fine_tune_epochs: self.fine_tune_epochs },
            PruneArgument::Weights => Prune::Rate { rate, scope: PruneScope::Global },
            PruneArgument::WeightsPerLayer => Prune::Rate { rate, scope: PruneScope::PerLayer },
            PruneArgument::Blocks => Prune::Blocks { rate, scope: PruneScope::PerLayer },
        }))
    }

    /// What follows the removal of single weights; that of neurons brings its own.
    fn fine_tuning(&self) -> Option<CompressStep> {
        let removes_neurons =
            matches!(self.prune_by, PruneArgument::Neurons) && self.prune_threshold.is_none();
        let removes_weights = self.pruning().is_some() && !removes_neurons;
        let epochs = self.fine_tune_epochs;
        (removes_weights && epochs > 0).then_some(CompressStep::FineTune { epochs })
    }

    fn quantization(&self) -> Option<CompressStep> {
        Some(CompressStep::Quantize(match self.quantize? {
            QuantizeArgument::Int8 => Quantize::Int8 {
                calibration: self.calibration,
                per_channel: true,
                reduce_range: !self.full_range,
            },
            QuantizeArgument::Q(q) => Quantize::Q(q),
        }))
    }
}

fn quantization(text: &str) -> Result<QuantizeArgument, String> {
    match text.strip_prefix("q=") {
        None if text == "int8" => Ok(QuantizeArgument::Int8),
        None => Err("give int8, or q=<number>".to_owned()),
        Some(number) => {
            number.parse().map(QuantizeArgument::Q).map_err(|error| format!("{number:?}: {error}"))
        }
    }
}

fn calibration(text: &str) -> Result<Calibration, String> {
    match text {
        "min-max" => Ok(Calibration::MinMax),
        "mse" => Ok(Calibration::Mse),
        percentile => {
            let number = percentile.parse().map(Calibration::Percentile);
            number.map_err(|_| "give min-max, mse, or a percentile such as 99.9".to_owned())
        }
    }
}

fn steps(text: &str) -> Result<Steps, String> {
    serde_json::from_str(text).map(Steps).map_err(|error| error.to_string())
}
