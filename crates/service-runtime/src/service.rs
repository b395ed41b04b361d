//! The life of a service: start, run, stop in order.

mod embedded;
mod foreground;
mod surroundings;

use std::fmt::Display;
use std::future::Future;

pub use embedded::serve;
pub use foreground::run_service;

use crate::{Context, ServiceSettings};

/// A service: what it is called, what can be set, and what it does.
pub trait Service: Send + Sized + 'static {
    /// The service's own settings.
    type Settings: ServiceSettings;
    /// Why it failed.
    type Error: Display + Send + 'static;

    /// Its name in kebab case (`inference-worker`). Settings, connections and telemetry use it.
    const NAME: &'static str;

    /// Works until `context.shutdown` is cancelled, then ends its subscriptions, finishes what is in flight and returns.
    /// Returning earlier counts as a failure, and so does an error at any time. It runs on the async runtime and must not
    /// block it: computation belongs on threads of the service's own.
    fn run(self, context: Context) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
