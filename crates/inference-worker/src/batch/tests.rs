use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leat_contract::{
    Batching, Caching, Canary, Encoding, Envelope, InferRequest, InferResponse, Pipeline, PipelineMember,
    PipelineMode, PlainRequest, Scalar, Tensor, TensorData,
};
use leat_service_runtime::Inflight;
use leat_statistics::LatencyEncoder;

use super::*;
use crate::loaded::tests::{brittle_version, loaded, tiny_classifier, tiny_deployment, tiny_version};
use crate::work::Target;

const LIMITS: BatchLimits = BatchLimits { rows_max: 8, reply_bytes_max: 10_000 };

/// What came out of a batch.
struct Outcome {
    answers: Vec<Answer>,
    records: Vec<PredictionRecord>,
}

struct Bench {
    served: Arc<ServedModel>,
    inflight: Inflight,
}

impl Bench {
    /// Keeps answers, and puts other models together with its version than the version itself does.
    fn of_another_pipeline() -> Self {
        let version = tiny_version(1);
        let member = PipelineMember {
            model: "other".parse().unwrap(),
            version: version.version,
            digest: version.digest.clone(),
        };
        let versions = vec![Arc::new(version)];
        let mut deployment = tiny_deployment(&versions, &[100]);
        deployment.cache = Some(Caching { bytes_max: 1 << 20 });
        deployment.pipeline = Some(Pipeline { mode: PipelineMode::Sequence, members: vec![member] });
        let served = ServedModel::new("tiny".parse().unwrap(), RouteTable::new(&deployment, versions));
        Self { served: Arc::new(served), inflight: Inflight::default() }
    }

    /// A canary beside another version, which answers first.
    fn comparing() -> Self {
        let versions = vec![Arc::new(tiny_version(1)), Arc::new(tiny_version(2))];
        let mut deployment = tiny_deployment(&versions, &[100, 1]);
        deployment.canary = Some(Canary::new(versions[1].version, 0));
        let served = ServedModel::new("tiny".parse().unwrap(), RouteTable::new(&deployment, versions));
        Self { served: Arc::new(served), inflight: Inflight::default() }
    }

    fn new(rows_at_once: u32) -> Self {
        Self::of(tiny_version(1), rows_at_once)
    }

    fn of(version: LoadedVersion, rows_at_once: u32) -> Self {
        let versions = vec![Arc::new(version)];
        let mut deployment = tiny_deployment(&versions, &[100]);
        deployment.batching = Batching { max_size: rows_at_once, max_delay_us: 0, preferred_size: None };
        let served = ServedModel::new("tiny".parse().unwrap(), RouteTable::new(&deployment, versions));
        Self { served: Arc::new(served), inflight: Inflight::default() }
    }

    fn work(&self, payload: &str, waited: Duration) -> Work {
        self.work_named(payload, payload.as_bytes(), waited)
    }

    /// A request that is to be answered to a name.
    fn work_named(&self, name: &str, payload: &[u8], waited: Duration) -> Work {
        let received = Instant::now().checked_sub(waited).unwrap();
        let reply = leat_messaging::Subject::from(name.to_owned());
        let envelope = Envelope::peek(payload);
        let waiting = Waiting::new(&envelope, received, Duration::from_secs(5), (&reply, Encoding::Json));
        Work {
            by_object: None,
            payload: Bytes::copy_from_slice(payload),
            reply,
            received,
            target: Target { served: self.served.clone(), pinned: None },
            sticky: None,
            waiting,
            wanted: None,
            escort: Escort::new(None, self.inflight.enter()),
        }
    }

    fn run(&self, work: Vec<Work>, limits: BatchLimits) -> Outcome {
        self.run_after(&mut Weak::new(), work, limits)
    }

    /// On a thread that ran something last.
    fn run_after(&self, last: &mut Weak<LoadedVersion>, work: Vec<Work>, limits: BatchLimits) -> Outcome {
        let chosen = work[0].target.choose(None).unwrap();
        let plan = chosen.0.plan.get().unwrap();
        let mut batch = Batch::new(self.served.clone(), chosen, plan, Buffers::default());
        let mut answers = Vec::new();
        for work in work {
            batch.add((work, Instant::now()), limits, &mut answers);
        }
        let team = Team::new(NonZeroUsize::MIN).unwrap();
        let (scratch, replies) = (&mut Scratch::default(), &mut ReplyMemory::default());
        batch.run(limits, Means { team: &team, scratch, last, replies }, &mut answers);
        batch.repeat(&team, scratch);
        batch.settle();
        let records = batch.records().collect();
        assert_eq!(batch.into_buffers().input.len(), 0);
        Outcome { answers, records }
    }

    fn codes(&self, payloads: &[&str]) -> Vec<(String, u16)> {
        let work = payloads.iter().map(|payload| self.work(payload, Duration::ZERO)).collect();
        let mut codes: Vec<_> = self
            .run(work, LIMITS)
            .answers
            .iter()
            .map(|answer| (answer.reply.to_string(), code(answer)))
            .collect();
        codes.sort();
        codes
    }
}

/// 200 for a result.
fn code(answer: &Answer) -> u16 {
    match &answer.content {
        Content::Result(_) | Content::Object(..) => 200,
        Content::Refusal(detail, _) => detail.code,
    }
}

fn values(answer: &Answer) -> Vec<f32> {
    let Content::Result(bytes) = &answer.content else { panic!("refused") };
    InferResponse::decode(bytes).unwrap().0.outputs.remove(0).data.into_fp32().unwrap()
}

#[test]
fn the_parts_of_a_batch_are_counted_with_each_of_its_requests() {
    let bench = Bench::new(64);
    let work = || bench.work(r#"{"instances":[[1,2]]}"#, Duration::from_millis(1));
    bench.run(vec![work(), work()], LIMITS);
    let totals = bench.served.routes().principal().unwrap().meter.totals();
    let parts = [totals.input, totals.compute, totals.output];
    assert!(parts.iter().all(|part| part.count == 2 && part.ns > 0), "{totals:?}");
    let of_parts = parts.iter().map(|part| part.ns).sum::<u64>() + totals.queue.ns;
    assert!(of_parts <= totals.success.ns, "{totals:?}");
}

#[test]
fn a_run_after_another_version_is_counted_as_cold() {
    let (bench, other) = (Bench::new(64), Bench::new(64));
    let mut last = Weak::new();
    let good = r#"{"instances":[[1,2],[3,4]]}"#;
    // What is refused is not run.
    for (bench, payload) in
        [(&bench, good), (&bench, good), (&other, "{"), (&bench, good), (&other, good), (&bench, good)]
    {
        let work = bench.work(payload, Duration::ZERO);
        bench.run_after(&mut last, vec![work], LIMITS);
    }
    let version = bench.served.routes().principal().unwrap().clone();
    let told = version.meter.take(&version.model, version.version, 0, &mut LatencyEncoder::default());
    let runs: Vec<_> = told.runs.iter().map(|runs| (runs.is_cold, runs.size, runs.count)).collect();
    assert_eq!(runs, [(false, 2, 2), (true, 2, 2)]);
}

#[test]
fn runs_are_repeated_while_a_canary_is_compared() {
    let (bench, plain) = (Bench::comparing(), Bench::new(64));
    for bench in [&bench, &plain] {
        let outcome = bench.run(vec![bench.work(r#"{"instances":[[1,2],[3,4]]}"#, Duration::ZERO)], LIMITS);
        assert_eq!(outcome.answers.len(), 1);
    }
    let told = |bench: &Bench| {
        let version = bench.served.routes().principal().unwrap().clone();
        assert_eq!(version.meter.totals().batches, 1, "it is the same batch");
        let told = version.meter.take(&version.model, version.version, 0, &mut LatencyEncoder::default());
        told.runs.iter().map(|runs| (runs.is_cold, runs.is_repeat, runs.count)).collect::<Vec<_>>()
    };
    assert_eq!(told(&bench), [(false, true, 1), (true, false, 1)]);
    assert_eq!(told(&plain), [(true, false, 1)]);
}

#[test]
fn one_bad_request_spoils_nothing_for_the_others() {
    let good = r#"{"instances":[[1,2]]}"#;
    let overflowing = r#"{"instances":[[3e38,3e38]]}"#;
    let undecodable = "{";
    let codes = Bench::new(64).codes(&[good, overflowing, undecodable]);
    let expected =
        [(undecodable, 400), (good, 200), (overflowing, 400)].map(|(reply, code)| (reply.to_owned(), code));
    assert_eq!(codes, expected);
}

#[test]
fn a_panic_in_a_plan_is_an_internal_error_of_one_request() {
    let (good, fatal) = (r#"{"instances":[[1,2]]}"#, r#"{"instances":[[-1,2]]}"#);
    let codes = Bench::of(brittle_version(), 64).codes(&[good, fatal, good]);
    assert_eq!(codes, [(fatal, 500), (good, 200), (good, 200)].map(|(reply, code)| (reply.to_owned(), code)));
}

#[test]
fn a_request_larger_than_a_run_is_run_in_parts() {
    let bench = Bench::new(2);
    let request =
        r#"{"inputs":[{"name":"input","datatype":"INT64","shape":[5,2],"data":[1,0,2,0,3,0,4,0,5,0]}]}"#;
    let outcome = bench.run(vec![bench.work(request, Duration::ZERO)], LIMITS);
    assert_eq!(values(&outcome.answers[0]), [1.0, 2.0, 3.0, 4.0, 5.0]);
    let version = bench.served.routes().next().unwrap().clone();
    let told = version.meter.take(&version.model, version.version, 0, &mut LatencyEncoder::default());
    assert_eq!((told.requests, told.rows, told.batches, told.inflight), (1, 5, 3, 0));
}

#[test]
fn an_expired_request_is_not_run() {
    let bench = Bench::new(64);
    let late = bench.work(r#"{"instances":[[1,2]],"deadline_ms":10}"#, Duration::from_millis(11));
    let in_time = bench.work(r#"{"instances":[[1,2]],"deadline_ms":60000}"#, Duration::from_millis(11));
    let outcome = bench.run(vec![late, in_time], LIMITS);
    assert_eq!(outcome.answers.iter().map(code).collect::<Vec<_>>(), [504, 200]);
    let version = bench.served.routes().next().unwrap().clone();
    let told = version.meter.take(&version.model, version.version, 0, &mut LatencyEncoder::default());
    assert_eq!((told.requests, told.rows, told.errors.get(&ErrorCode::DeadlineExceeded)), (2, 1, Some(&1)));
}

#[test]
fn a_reply_over_the_limit_of_the_broker_is_refused() {
    let bench = Bench::new(64);
    let work = bench.work(r#"{"instances":[[1,2]]}"#, Duration::ZERO);
    let outcome = bench.run(vec![work], BatchLimits { reply_bytes_max: 10, ..LIMITS });
    assert_eq!(code(&outcome.answers[0]), 413);
    assert!(outcome.records.is_empty());
}

#[test]
fn only_answered_requests_with_an_id_are_recorded() {
    let bench = Bench::new(64);
    let named = bench.work(r#"{"id":"r-1","instances":[[1,2],[3,4]]}"#, Duration::ZERO);
    let refused = bench.work(r#"{"id":"r-2","instances":[[1]]}"#, Duration::ZERO);
    let nameless = bench.work(r#"{"instances":[[1,2]]}"#, Duration::ZERO);
    let outcome = bench.run(vec![named, refused, nameless], LIMITS);
    assert_eq!(outcome.records.len(), 1);
    assert_eq!((outcome.records[0].request_id.as_str(), outcome.records[0].rows.len()), ("r-1", 2));
}

#[test]
fn a_request_is_in_flight_until_its_answer_is_gone() {
    let bench = Bench::new(64);
    let work = bench.work(r#"{"instances":[[1,2]]}"#, Duration::ZERO);
    assert_eq!(bench.inflight.count(), 1);
    let outcome = bench.run(vec![work], LIMITS);
    assert_eq!(bench.inflight.count(), 1);
    drop(outcome);
    assert_eq!(bench.inflight.count(), 0);
}

#[test]
fn a_caller_that_was_told_it_is_too_late_is_not_told_again() {
    let bench = Bench::new(64);
    let told = bench.work(r#"{"instances":[[1,2]],"deadline_ms":60000}"#, Duration::ZERO);
    assert!(told.waiting.take_claim());
    let refused = bench.work(r#"{"instances":[[1]],"deadline_ms":60000}"#, Duration::ZERO);
    assert!(refused.waiting.take_claim());
    let in_time = bench.work(r#"{"instances":[[1,2]]}"#, Duration::ZERO);
    let outcome = bench.run(vec![told, refused, in_time], LIMITS);
    assert_eq!(outcome.answers.iter().map(code).collect::<Vec<_>>(), [200]);
    let version = bench.served.routes().next().unwrap().clone();
    let told = version.meter.take(&version.model, version.version, 0, &mut LatencyEncoder::default());
    assert_eq!((told.requests, told.errors.get(&ErrorCode::DeadlineExceeded)), (3, Some(&1)));
}

#[test]
fn a_parameter_that_means_nothing_is_refused() {
    let bad = r#"{"instances":[[1,2]],"parameters":{"priority":"high"}}"#;
    let unknown = r#"{"instances":[[1,2]],"parameters":{"mood":"high"}}"#;
    let codes = Bench::new(64).codes(&[bad, unknown]);
    assert_eq!(codes, [(unknown, 200), (bad, 400)].map(|(reply, code)| (reply.to_owned(), code)));
}

#[test]
fn a_version_of_another_pipeline_neither_keeps_answers_nor_gets_kept_ones() {
    let bench = Bench::of_another_pipeline();
    let payload = r#"{"instances":[[1,2]]}"#;
    for _ in 0..2 {
        assert_eq!(bench.codes(&[payload])[0].1, 200);
    }
    let routes = bench.served.routes();
    assert_eq!(routes.principal().unwrap().meter.totals().cache, leat_contract::CacheFigures::default());
    let cache = routes.cache.as_ref().unwrap();
    assert_eq!(cache.get(&routes.principal().unwrap().digest, &[1.0, 2.0]), None);
}

/// A request in MessagePack with these values as one row.
fn plain(input: &str, values: &[f32]) -> InferRequest {
    let data = TensorData::Fp32(values.to_vec());
    InferRequest::tensors(vec![Tensor::new(input, vec![1, values.len()], data).unwrap()])
}

#[test]
fn a_plain_request_is_answered_as_any_other() {
    let bench = Bench::of(loaded(3, &tiny_classifier()), 64);
    let id = Some("r-1".parse().unwrap());
    let request = InferRequest { id, deadline_ms: Some(60_000), ..plain("input", &[0.5, 2.0]) };
    // An option that means nothing to the worker makes the second one a request as any other.
    let parameters = [("mood".to_owned(), Scalar::Text("good".to_owned()))].into();
    let other = InferRequest { parameters, ..request.clone() };
    let [plain, other] = [request, other].map(|request| request.encode(Encoding::MessagePack).unwrap());
    assert!(PlainRequest::read(&plain).is_some() && PlainRequest::read(&other).is_none());
    let work = [plain, other].map(|payload| bench.work_named("reply", &payload, Duration::ZERO));
    let outcome = bench.run(work.into(), LIMITS);
    let [Content::Result(first), Content::Result(second)] = [0, 1].map(|n| &outcome.answers[n].content)
    else {
        panic!("refused")
    };
    assert_eq!(first, second);
    let (reply, encoding) = InferResponse::decode(first).unwrap();
    assert_eq!(
        (encoding, reply.id.unwrap().as_str(), reply.outputs.len()),
        (Encoding::MessagePack, "r-1", 2)
    );
    assert_eq!(outcome.records.len(), 2);
    assert_eq!(outcome.records[0].rows, outcome.records[1].rows);
}

#[test]
fn what_is_wrong_with_a_plain_request_is_said_as_of_any_other() {
    let bench = Bench::new(64);
    let request = |input, values: &[f32]| plain(input, values).encode(Encoding::MessagePack).unwrap();
    let many = Tensor::new("input", vec![9, 2], TensorData::Fp32(vec![1.0; 18])).unwrap();
    let many = InferRequest::tensors(vec![many]).encode(Encoding::MessagePack).unwrap();
    let expected = [
        (request("input", &[1.0, 2.0]), 200),
        (request("other", &[1.0, 2.0]), 400),
        (request("input", &[1.0]), 400),
        (request("input", &[1.0, f32::NAN]), 400),
        (request("input", &[f32::INFINITY, 1.0]), 400),
        (many, 413),
    ];
    for (payload, expected) in &expected {
        assert!(PlainRequest::read(payload).is_some());
        let outcome = bench.run(vec![bench.work_named("reply", payload, Duration::ZERO)], LIMITS);
        assert_eq!(outcome.answers.iter().map(code).collect::<Vec<_>>(), [*expected]);
    }
    let late = InferRequest { deadline_ms: Some(10), ..plain("input", &[1.0, 2.0]) };
    let late = late.encode(Encoding::MessagePack).unwrap();
    let outcome = bench.run(vec![bench.work_named("reply", &late, Duration::from_millis(11))], LIMITS);
    assert_eq!(outcome.answers.iter().map(code).collect::<Vec<_>>(), [504]);
}
