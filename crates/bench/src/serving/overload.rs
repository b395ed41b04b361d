//! What becomes of requests when several times as many come as a worker can answer.
//!
//! Each round asks first for as much as is answered, by requesters that wait for their answers, and then for too much, at a fixed rate,
//! whatever becomes of it. Goodput is what gets a prediction before its deadline; the worker keeps the deadline, so that is what is
//! answered. The worker has a processor of its own: sending and carrying requests is work as well, and on one that it shares the worker would
//! have the less the more requests come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leat_contract::{Encoding, InferRequest, ModelName, Subjects, Tensor, TensorData};
use leat_load::{Arrivals, Load, Pace, Percentiles, StepReport, Target};
use leat_model::{Body, Model};
use tokio_util::sync::CancellationToken;

use super::deployment::Deployer;
use super::lane::Lane;
use super::stage::Stage;
use crate::arguments::{LAYERS_MAX, OverloadOptions};
use crate::shapes::Shape;
use crate::timing::median;
use crate::{Error, models, report};

const NAME: &str = "deep";
const WIDTH: usize = 256;
static WIDTHS: [usize; LAYERS_MAX + 1] = [WIDTH; LAYERS_MAX + 1];
/// What weights are multiplied with, so that neither layer after layer grows until it is infinite.
const SMALLER: f32 = 0.125;
const DEADLINE: Duration = Duration::from_millis(250);
/// Enough to keep the worker busy, few enough to be answered before their deadlines.
const REQUESTERS: usize = 128;
/// More than are answered or refused late at any of the rates that a machine can send.
const OUTSTANDING_MAX: usize = 16_384;

/// What the parts of a round came to.
struct Round {
    most: StepReport,
    offered: StepReport,
}

/// Measures and gives what there is to say.
///
/// # Errors
/// When the worker does not start, or requests get no answer at all.
pub(super) async fn measure(stage: &mut Stage, options: &OverloadOptions) -> Result<String, Error> {
    let (digits, mut deployer) = stage.raise_worker(options.leat.as_deref(), false).await?;
    let lane = deep(&digits, &mut deployer, options.layers).await?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        let round = Round::take(&lane, options).await?;
        report::say(&format!("round {number} of {}:\n{}", options.rounds, round.describe()?))?;
        rounds.push(round);
    }
    let goodput = |round: &Round| round.offered.answered_per_second() / round.most.answered_per_second();
    Ok(format!(
        "goodput when {} times as much is asked for: {:.1} % of the most, the median of {} rounds",
        options.factor,
        100.0 * median(rounds.iter().map(goodput).collect()),
        rounds.len(),
    ))
}

impl Round {
    async fn take(lane: &Lane, options: &OverloadOptions) -> Result<Self, Error> {
        let duration = Duration::from_secs_f64(options.seconds);
        let ask = |lane: &Lane, pace| {
            let load = Load { timeout: 4 * DEADLINE, ..lane.load(duration) };
            async move { load.run(pace, &CancellationToken::new()).await }
        };
        let closed = Pace::Closed { concurrency: REQUESTERS };
        let open = |rate| Pace::Open {
            rate,
            arrivals: Arrivals::Poisson,
            max_outstanding: OUTSTANDING_MAX,
            seed: 0,
        };
        let most = ask(lane, closed).await?;
        let rate = most.answered_per_second();
        let offered = ask(lane, open(options.factor * rate)).await?;
        Ok(Self { most, offered })
    }

    fn describe(&self) -> Result<String, Error> {
        let most = describe("as many as are answered", &self.most)?;
        let offered = describe("too many", &self.offered)?;
        Ok(format!("{most}\n{offered}"))
    }
}

fn describe(name: &str, report: &StepReport) -> Result<String, Error> {
    let latency = Percentiles::of(&report.latency);
    let latency = latency.ok_or_else(|| Error::Usage(format!("{name}: no request was answered")))?;
    let others = report.failed.iter().map(|(reason, count)| format!(", {count} {reason}"));
    let unsent = if report.unsent > 0 { format!(", {} never sent", report.unsent) } else { String::new() };
    let others: String = others.chain([unsent]).collect();
    let (p50_ms, p99_ms) = (latency.p50 / 1000.0, latency.p99 / 1000.0);
    let per_second = report.answered_per_second();
    Ok(format!("  {name}: {per_second:.0} answered/s, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms{others}"))
}

/// Deploys a model whose rows take long, and gives the lane to it.
async fn deep(digits: &Lane, deployer: &mut Deployer, layers: usize) -> Result<Lane, Error> {
    let shape = Shape { name: NAME, widths: WIDTHS.get(..=layers).unwrap_or(&WIDTHS) };
    let mut model = models::dense(&shape, None)?;
    make_smaller(&mut model);
    let digest = deployer.store(&model).await?;
    deployer.deploy(NAME, digest).await?;
    let name: ModelName = NAME.parse()?;
    let Target::Nats(target) = &digits.target else {
        return Err(Error::Usage("a worker is asked over NATS".to_owned()));
    };
    let target = Target::Nats(target.with_subject(Subjects::default().infer(&name)));
    Ok(Lane { target, requests: requests()?, ..digits.clone() })
}

fn make_smaller(model: &mut Model) {
    let Body::Network(network) = &mut model.body else { return };
    for layer in &mut network.layers {
        let values = layer.weights.to_f32().into_iter().map(|weight| weight * SMALLER).collect();
        layer.weights = leat_model::Tensor::f32(vec![WIDTH, WIDTH], values);
    }
}

fn requests() -> Result<Arc<[Bytes]>, Error> {
    let rows = models::rows(super::requests::ROWS, WIDTH);
    let request = |row: &[f32]| {
        let tensor = Tensor::new("input", vec![1, WIDTH], TensorData::Fp32(row.to_vec()))?;
        let deadline_ms = u64::try_from(DEADLINE.as_millis()).ok();
        let request = InferRequest { deadline_ms, ..InferRequest::tensors(vec![tensor]) };
        Ok(request.encode(Encoding::MessagePack)?.into())
    };
    rows.chunks_exact(WIDTH).map(request).collect()
}
