//! The service that follows desired state, loads models and answers inference requests.
//!
//! It never trains or changes a model, never writes desired state, and keeps nothing but what is loaded. A request is
//! answered at most once, and never after its deadline.
//!
//! The way of a request: `ingest` admits it to the `queue` or refuses it at once; a `compute` thread takes what is
//! ready, `served` and `schedule` say which version answers, `batch` reads its rows (`rows`), runs the plan and
//! writes the reply (`reply`); `record` and `recorder` keep what was predicted for requests with an id.
//!
//! The way of a model: `follower` watches deployments, `deployed` takes one model through them, `loader` gets
//! `loaded` versions (`warm` keeps those that left), and `board` tells the `lease` what is loaded.
//!
//! Around them: `worker` starts and stops everything, `meter`, `roster` and `telemetry` count and report,
//! `endpoint` and `describe` tell what a model takes and gives, `pace` and `patience` judge the load.

mod batch;
mod board;
mod compute;
mod deployed;
mod describe;
mod endpoint;
mod error;
mod follower;
mod ingest;
mod lease;
mod loaded;
mod loader;
mod meter;
mod metrics;
mod pace;
mod patience;
mod queue;
mod record;
mod recorder;
mod reply;
mod roster;
mod rows;
mod schedule;
mod served;
mod settings;
mod shared;
mod telemetry;
mod warm;
mod work;
mod worker;

pub use error::Error;
pub use settings::Settings;
pub use worker::InferenceWorker;
