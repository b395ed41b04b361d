use leat_service_runtime::jobs::{self, Limits};
use leat_service_runtime::{Context, Error, Service};

use crate::Settings;
use crate::training_job::TrainingJob;

/// The trainer.
#[derive(Debug)]
pub struct Trainer {
    settings: Settings,
}

impl Trainer {
    /// The kind of service.
    pub(crate) const SERVICE: &'static str = "trainer";

    /// Gives a trainer with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Service for Trainer {
    type Settings = Settings;
    type Error = Error;

    const NAME: &'static str = Self::SERVICE;

    async fn run(self, context: Context) -> Result<(), Error> {
        let limits =
            Limits { checkpoint_every: self.settings.checkpoint_every(), stall: self.settings.stall() };
        let job = TrainingJob { dataset_bytes_max: self.settings.dataset_bytes_max };
        jobs::run(job, context, limits).await
    }
}
