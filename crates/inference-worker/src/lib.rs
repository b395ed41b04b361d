//! The service that follows desired state, loads models and answers inference requests.
mod batch;
mod clock;
mod error;
mod loaded;
mod meter;
mod patience;
mod queue;
mod record;
mod reply;
mod rows;
mod schedule;
mod served;
mod settings;
mod warm;
mod work;

pub use error::Error;
pub use settings::Settings;
