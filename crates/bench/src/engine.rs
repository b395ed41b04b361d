//! The benchmark of the engine: every shape, kind and batch, ours beside the peers'.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use leat_engine::{Kernels, compile};
use serde::Serialize;

use crate::arguments::EngineOptions;
use crate::contender::{Contender, Engine, Leat};
use crate::models::{self, Kind};
#[cfg(feature = "peers")]
use crate::peers::Peers;
use crate::roofline::{Peak, Roofline};
use crate::shapes::{self, Shape};
use crate::timing::{Calm, Rounds, Timing, Timings, timings};
use crate::{Error, report};

/// How far outputs may be from those of another engine in `f32`, on average and relative to their size: sums run in another
/// order.
const TOLERANCE: f32 = 1e-3;
/// Likewise where weights were rounded to fewer bits.
const TOLERANCE_ROUNDED: f32 = 0.25;

/// The figures of one run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) cpu: &'static str,
    pub(crate) roofline: Roofline,
    pub(crate) compilations: Vec<Compilation>,
    pub(crate) cells: Vec<Cell>,
}

/// What it takes to make a model ready.
#[derive(Debug, Serialize)]
pub(crate) struct Compilation {
    pub(crate) shape: &'static str,
    pub(crate) kind: Kind,
    pub(crate) compile_us: f64,
    pub(crate) first_run_us: f64,
    pub(crate) plan: String,
}

/// One shape, kind and batch.
#[derive(Debug, Serialize)]
pub(crate) struct Cell {
    pub(crate) shape: &'static str,
    pub(crate) kind: Kind,
    pub(crate) batch: usize,
    /// Multiply-adds of the whole batch, as if nothing was pruned.
    pub(crate) multiply_adds: usize,
    /// How much of the peak that was measured in the same rounds ours makes use of; none where no peak is known.
    pub(crate) of_peak: Option<f64>,
    /// The median of one run, ours first.
    pub(crate) times: Vec<Time>,
    pub(crate) rounds: Rounds,
    /// How far the answers of the others are from ours on average, relative to their size. Nobody is there whose model is another one.
    pub(crate) distances: Vec<(Engine, f32)>,
}

/// How long one contender takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Time {
    pub(crate) engine: Engine,
    pub(crate) us: f64,
    /// In terms of ours: the median of the ratios within each round.
    pub(crate) ratio: f64,
}

impl Cell {
    /// The time of a contender that took part.
    pub(crate) fn time(&self, engine: Engine) -> Option<Time> {
        self.times.iter().find(|time| time.engine == engine).copied()
    }

    /// Ours, in microseconds.
    pub(crate) fn ours(&self) -> f64 {
        self.time(Engine::Leat).map_or(f64::NAN, |ours| ours.us)
    }
}

pub(crate) fn run(options: &EngineOptions) -> Result<(), Error> {
    if let Some(name) = &options.cpu {
        Kernels::choose(name).map_err(Error::Usage)?;
    }
    let shapes = chosen(&options.shapes)?;
    let budget = Duration::from_millis(options.budget);
    #[cfg(feature = "peers")]
    let peers = match (&options.onnx_runtime, &options.models) {
        (Some(library), Some(folder)) => Some(Peers::load(library, folder)?),
        _ => None,
    };
    let mut run = Run {
        cpu: Kernels::detect().name(),
        roofline: Roofline::measure(),
        compilations: Vec::new(),
        cells: Vec::new(),
    };
    report::opening(&run)?;
    let mut calm = options.calm.map(|seconds| Calm::new(Duration::from_secs_f64(seconds)));
    for shape in shapes {
        let dense = models::dense(&shape, options.models.as_deref())?;
        for kind in Kind::ALL {
            let model = models::compressed(&dense, kind)?;
            run.compilations.push(compilation(&shape, kind, &model)?);
            for &batch in &options.batches {
                let input = models::rows(batch, shape.features());
                let ours: Box<dyn Contender> = Box::new(Leat::new(&model, &input, NonZeroUsize::MIN)?);
                let mut contenders = vec![(Engine::Leat, ours)];
                if let Some(unpruned) = kind.unpruned() {
                    let unpruned = models::compressed(&dense, unpruned)?;
                    let unpruned = Leat::new(&unpruned, &input, NonZeroUsize::MIN)?;
                    contenders.push((Engine::LeatUnpruned, Box::new(unpruned)));
                }
                if options.threads > NonZeroUsize::MIN {
                    let together = Leat::new(&model, &input, options.threads)?;
                    contenders.push((Engine::LeatThreads, Box::new(together)));
                }
                #[cfg(feature = "peers")]
                if let Some(peers) = &peers {
                    contenders.extend(peers.of(&shape, kind, &input)?);
                }
                let cell =
                    Subject { shape: &shape, kind, batch }.measure(contenders, budget, calm.as_mut())?;
                report::line(&cell)?;
                run.cells.push(cell);
            }
        }
    }
    report::tables(&run)?;
    match &options.json {
        Some(path) => report::write(&run, path),
        None => Ok(()),
    }
}

fn chosen(names: &[String]) -> Result<Vec<Shape>, Error> {
    if names.is_empty() {
        return Ok(shapes::ALL.to_vec());
    }
    names.iter().map(|name| shapes::named(name)).collect()
}

fn compilation(shape: &Shape, kind: Kind, model: &leat_model::Model) -> Result<Compilation, Error> {
    let began = Instant::now();
    let plan = compile(model)?;
    let compile_us = began.elapsed().as_secs_f64() * 1e6;
    let mut first = Leat::new(model, &models::rows(1, shape.features()), NonZeroUsize::MIN)?;
    let began = Instant::now();
    first.run()?;
    let first_run_us = began.elapsed().as_secs_f64() * 1e6;
    Ok(Compilation { shape: shape.name, kind, compile_us, first_run_us, plan: plan.describe() })
}

/// What is measured in one cell.
struct Subject<'a> {
    shape: &'a Shape,
    kind: Kind,
    batch: usize,
}

impl Subject<'_> {
    fn measure(
        &self,
        contenders: Vec<(Engine, Box<dyn Contender>)>,
        budget: Duration,
        calm: Option<&mut Calm>,
    ) -> Result<Cell, Error> {
        let (engines, mut contenders): (Vec<_>, Vec<_>) = contenders.into_iter().unzip();
        let distances = self.agree(&engines, &mut contenders)?;
        let multiply_adds = self.shape.multiply_adds() * self.batch;
        let peak = Peak::of(self.kind, duration_of_ours(&mut contenders)?);
        let share = peak.as_ref().map(|peak| multiply_adds as f64 / peak.multiply_adds() as f64);
        contenders.extend(peak.map(|peak| Box::new(peak) as Box<dyn Contender>));
        let Timings { contenders: timings, rounds } = timings(&mut contenders, budget, calm)?;
        let of_peak = share.zip(timings.last()).map(|(share, peak)| peak.ratio * share);
        let time = |(engine, Timing { us, ratio })| Time { engine, us, ratio };
        Ok(Cell {
            shape: self.shape.name,
            kind: self.kind,
            batch: self.batch,
            multiply_adds,
            of_peak,
            times: engines.into_iter().zip(timings).map(time).collect(),
            rounds,
            distances,
        })
    }

    /// Runs everybody once and compares what they give. Only a peer that computes on integers, and not exactly, may be far away: without
    /// instructions that multiply integers exactly it saturates, which is then part of the figures.
    fn agree(
        &self,
        engines: &[Engine],
        contenders: &mut [Box<dyn Contender>],
    ) -> Result<Vec<(Engine, f32)>, Error> {
        let mut outputs = Vec::new();
        for contender in &mut *contenders {
            contender.run()?;
            outputs.push(contender.output()?);
        }
        let tolerance = match self.kind {
            Kind::F32 => TOLERANCE,
            Kind::Bf16 | Kind::WeightOnlyInt8 => TOLERANCE_ROUNDED,
            Kind::Int8 => f32::INFINITY,
            // The peers run the model before it was pruned.
            Kind::Pruned | Kind::PrunedInt8 => return Ok(Vec::new()),
        };
        let Some((ours, others)) = outputs.split_first() else { return Ok(Vec::new()) };
        let size = mean(ours.iter().map(|value| value.abs()));
        let mut distances = Vec::new();
        for (&engine, other) in engines.iter().skip(1).zip(others) {
            let distance = mean(ours.iter().zip(other).map(|(ours, other)| (ours - other).abs()));
            let is_exact = engine == Engine::OnnxRuntimeExact;
            let tolerance = if is_exact { TOLERANCE_ROUNDED } else { tolerance };
            let agrees = distance <= tolerance * size;
            if !agrees {
                let (contender, shape) = (engine.name(), self.shape.describe());
                return Err(Error::Disagreement { contender, shape, distance, size });
            }
            distances.push((engine, distance / size));
        }
        Ok(distances)
    }
}

/// The second run: caches are as warm as they will be.
fn duration_of_ours(contenders: &mut [Box<dyn Contender>]) -> Result<Duration, Error> {
    let Some(ours) = contenders.first_mut() else { return Ok(Duration::ZERO) };
    ours.run()?;
    let began = Instant::now();
    ours.run()?;
    Ok(began.elapsed())
}

fn mean(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len().max(1) as f32;
    values.sum::<f32>() / count
}

#[cfg(test)]
mod tests;
