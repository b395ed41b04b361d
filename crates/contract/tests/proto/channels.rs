//! Every subject with what travels on it, the source of the table of subjects and of the AsyncAPI document.

use leat_contract::{
    AssetRole, ControlVerb, JobEventKind, JobId, JobKind, ModelName, ModelVersion, RequestId, RolloutEnd,
    Subjects, WorkerId, micro::MicroVerb,
};

/// Who sends the first message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// A client, to Leat.
    ToLeat,
    /// Leat, to whoever listens.
    FromLeat,
}

/// What happens to a message on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Core NATS, one answer or none.
    RequestReply,
    /// A work queue.
    Queue(AssetRole),
    /// A stream that keeps messages, whose sender waits for its word.
    Log(AssetRole),
    /// A stream that keeps what arrives; its sender does not wait.
    BestEffort(AssetRole),
    /// Core NATS, nobody waits.
    Lossy,
}

pub(crate) struct Channel {
    pub(crate) id: &'static str,
    pub(crate) subject: String,
    pub(crate) listener: &'static str,
    pub(crate) what: &'static str,
    pub(crate) direction: Direction,
    pub(crate) delivery: Delivery,
    pub(crate) messages: Vec<&'static str>,
    pub(crate) replies: Vec<&'static str>,
}

pub(crate) fn all() -> Vec<Channel> {
    [inference(), metadata(), jobs(), observation(), orders(), discovery()].into_iter().flatten().collect()
}

fn inference() -> Vec<Channel> {
    let (subjects, model) = (Subjects::default(), model());
    vec![
        Channel {
            replies: vec!["InferResponse", "PredictionsResponse", "ErrorBody"],
            ..request(
                "infer",
                subjects.infer(&model),
                "inference on the live route of a model",
                &["InferRequest", "InferReference"],
            )
        },
        Channel {
            replies: vec!["InferResponse", "PredictionsResponse", "ErrorBody"],
            ..request(
                "inferVersion",
                subjects.infer_version(&model, placeholder_version()),
                "inference on one version of a model",
                &["InferRequest", "InferReference"],
            )
        },
        Channel {
            listener: "stream",
            delivery: Delivery::Log(AssetRole::Label),
            ..request(
                "label",
                subjects.label(&model),
                "ground truth for an earlier request that had an id",
                &["Label"],
            )
        },
        Channel {
            listener: "stream",
            delivery: Delivery::Queue(AssetRole::AsyncQueue),
            ..request(
                "asyncInfer",
                subjects.async_infer(&model),
                "durable inference: accepted now, answered some time; the request must have an id",
                &["InferRequest"],
            )
        },
        Channel {
            delivery: Delivery::Log(AssetRole::Results),
            ..publication(
                "result",
                subjects.result(&RequestId::new("zzid").unwrap()),
                "the answer to a durable request, an error with its headers",
                &["InferResponse", "PredictionsResponse", "ErrorBody"],
            )
        },
    ]
}

fn metadata() -> Vec<Channel> {
    let (subjects, model) = (Subjects::default(), model());
    let asked = |id, subject, what| Channel {
        replies: vec!["ModelMetadata", "ErrorBody"],
        ..request(id, subject, what, &[])
    };
    vec![
        asked("metadata", subjects.metadata(&model), "what a model takes and gives; the request is empty"),
        asked(
            "metadataVersion",
            subjects.metadata_version(&model, placeholder_version()),
            "what one version takes and gives; the request is empty",
        ),
    ]
}

fn jobs() -> Vec<Channel> {
    let subjects = Subjects::default();
    let job = JobId::new("zzjob").unwrap();
    let event = subjects.job_event(&job, JobEventKind::Started).replace("started", "{what}");
    let rollout = subjects.rollout_event(&model(), RolloutEnd::Promoted).replace("promoted", "{end}");
    let queue = |id, kind, what| Channel {
        listener: "stream",
        delivery: Delivery::Queue(AssetRole::JobQueue),
        ..request(id, subjects.job(kind), what, &["JobMessage"])
    };
    vec![
        queue("jobTrain", JobKind::Train, "train a model"),
        queue("jobCompress", JobKind::Compress, "compress a version of a model"),
        Channel {
            delivery: Delivery::BestEffort(AssetRole::Events),
            ..publication("jobEvent", event, "something that happened to a job", &["JobEvent"])
        },
        Channel {
            delivery: Delivery::BestEffort(AssetRole::Events),
            ..publication("rolloutEvent", rollout, "what became of a canary", &["RolloutEvent"])
        },
        Channel {
            delivery: Delivery::Log(AssetRole::Dead),
            ..publication(
                "deadLetter",
                subjects.dead_letter("zzstream"),
                "a message that was given up, the reason beside its own headers",
                &["JobMessage"],
            )
        },
    ]
}

fn observation() -> Vec<Channel> {
    let (subjects, model) = (Subjects::default(), model());
    let logged = |role, channel| Channel { delivery: Delivery::BestEffort(role), ..channel };
    vec![
        logged(
            AssetRole::Prediction,
            publication(
                "prediction",
                subjects.prediction(&model),
                "what was predicted for requests with an id",
                &["PredictionBatch"],
            ),
        ),
        publication(
            "telemetry",
            subjects.telemetry(&worker()),
            "the counters of a worker, once a second",
            &["WorkerTelemetry"],
        ),
        logged(
            AssetRole::Monitor,
            publication(
                "monitorWindow",
                subjects.monitor_window(&model),
                "merged figures of a model, every few seconds",
                &["Window"],
            ),
        ),
        logged(
            AssetRole::Monitor,
            publication(
                "monitorAlert",
                subjects.monitor_alert(&model),
                "an alert when it starts and when it ends",
                &["Alert"],
            ),
        ),
    ]
}

fn orders() -> Vec<Channel> {
    let subjects = Subjects::default();
    vec![
        Channel {
            listener: "that worker",
            replies: vec!["DrainReply", "ErrorBody"],
            ..request(
                "controlDrain",
                subjects.control(&worker(), ControlVerb::Drain),
                "answer what was accepted, accept nothing more, leave",
                &["DrainRequest"],
            )
        },
        Channel {
            listener: "that worker",
            replies: vec!["PingReply", "ErrorBody"],
            ..request(
                "controlPing",
                subjects.control(&worker(), ControlVerb::Ping),
                "is it alive; the request is empty",
                &[],
            )
        },
    ]
}

fn discovery() -> Vec<Channel> {
    let verbs = [
        (MicroVerb::Ping, "srvPing", "MicroPing"),
        (MicroVerb::Info, "srvInfo", "MicroInfo"),
        (MicroVerb::Stats, "srvStats", "MicroStats"),
    ];
    let channel = |(verb, id, reply): (MicroVerb, &'static str, &'static str)| {
        let [subject, ..] = verb.subjects("", "");
        Channel {
            listener: "every instance of every service",
            replies: vec![reply],
            ..request(
                id,
                subject,
                "NATS micro protocol (ADR-32); also with `.<name>` and `.<name>.<id>`",
                &[],
            )
        }
    };
    verbs.into_iter().map(channel).collect()
}

fn request(id: &'static str, subject: String, what: &'static str, messages: &[&'static str]) -> Channel {
    Channel {
        id,
        subject: templated(&subject),
        listener: "one worker that serves it, queue group `q`",
        what,
        direction: Direction::ToLeat,
        delivery: Delivery::RequestReply,
        messages: messages.to_vec(),
        replies: Vec::new(),
    }
}

fn publication(id: &'static str, subject: String, what: &'static str, messages: &[&'static str]) -> Channel {
    Channel {
        listener: "whoever subscribes",
        direction: Direction::FromLeat,
        delivery: Delivery::Lossy,
        ..request(id, subject, what, messages)
    }
}

fn model() -> ModelName {
    ModelName::new("zzmodel").unwrap()
}

fn worker() -> WorkerId {
    WorkerId::new("zzworker").unwrap()
}

fn placeholder_version() -> ModelVersion {
    ModelVersion::new(4_000_000_000).unwrap()
}

/// A subject that was built for placeholders, with their names in braces.
fn templated(subject: &str) -> String {
    let placeholders = [
        ("zzmodel", "{model}"),
        ("zzworker", "{worker}"),
        ("zzjob", "{job}"),
        ("zzstream", "{stream}"),
        ("zzid", "{request}"),
        ("4000000000", "{version}"),
    ];
    placeholders.into_iter().fold(subject.to_owned(), |subject, (from, to)| subject.replace(from, to))
}
