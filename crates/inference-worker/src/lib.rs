//! The service that follows desired state, loads models and answers inference requests.
//!
//! It never trains or changes a model, never writes desired state, and keeps nothing but what is loaded and, when told to, the blobs of that. A request is
//! answered at most once, and never after its deadline.
//!
//! The way of a request: `ingest` asks `admission` whether it goes into the `queue` or is refused at once (`refusal`), or is
//! answered there and then when it is cheap; else a `compute` thread takes what is ready. In `answering`, `served`, `schedule` and `sticky` say which version answers, `batch` reads its rows
//! (`rows`), runs the plan and writes the reply (`reply`, in `reply_memory`); `record` and `recorder` keep what was predicted for requests with an
//! id; `response_cache` knows answers from before. `durable` takes requests from the stream of asynchronous work and sends them the same way. Meanwhile `waiting` knows how long it may take, and `expiry` answers when that is over; `claim` sees to it that only one
//! of them does. A body that no message can hold is an object: `payloads` fetches and stores such bodies, `referenced` brings a request to its own.
//!
//! The way of a model: `follower` watches deployments, `deployed` takes one model through them (`handover` sees others take it over), `loader` gets
//! `loaded` versions by `making` them on the thread of `loading`, of blobs that the store has (fetched in `fetch_turns`) or `blob_cache` keeps (`warm` keeps those that left), and `board` tells the `lease` what is loaded.
//! Models that answer together are one plan by `pipeline`.
//! What memory has no room for gives way and comes back by `budget` (`residence` is the plan that does).
//! A version that is only tried gets copies of requests in `shadow`; `repeats` of runs tell how one that answers compares with others.
//!
//! Around them: `worker` starts and stops everything, `meter`, `roster` and `telemetry` count and report,
//! `endpoint`, `metadata` and `describe` tell what a model takes and gives, `pace` and `patience` judge the load.

mod admission;
mod answering;
mod batch;
mod blob_cache;
mod board;
mod budget;
mod claim;
mod compute;
mod deployed;
mod describe;
mod durable;
mod endpoint;
mod error;
mod expiry;
mod fetch_turns;
mod follower;
mod handover;
mod ingest;
mod lease;
mod loaded;
mod loader;
mod loading;
mod making;
mod metadata;
mod meter;
mod metrics;
mod pace;
mod patience;
mod payloads;
mod pipeline;
mod queue;
mod record;
mod recorder;
mod referenced;
mod refusal;
mod repeats;
mod reply;
mod reply_memory;
mod residence;
mod response_cache;
mod roster;
mod rows;
mod schedule;
mod served;
mod settings;
mod shadow;
mod shared;
mod sticky;
mod telemetry;
mod waiting;
mod warm;
mod work;
mod worker;
mod yielding;

pub use error::Error;
pub use settings::Settings;
pub use worker::InferenceWorker;
