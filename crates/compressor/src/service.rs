use leat_service_runtime::jobs::{self, Limits};
use leat_service_runtime::{Context, Error, Service};

use crate::Settings;
use crate::compression_job::CompressionJob;

/// The compressor.
#[derive(Debug)]
pub struct Compressor {
    settings: Settings,
}

impl Compressor {
    /// The kind of service.
    pub(crate) const SERVICE: &'static str = "compressor";

    /// Gives a compressor with these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Service for Compressor {
    type Settings = Settings;
    type Error = Error;

    const NAME: &'static str = Self::SERVICE;

    async fn run(self, context: Context) -> Result<(), Error> {
        let stall = self.settings.stall();
        // Compression hands in no checkpoints: its steps are short, and a successor begins anew.
        let limits = Limits { checkpoint_every: stall, stall };
        jobs::run(CompressionJob { settings: self.settings }, context, limits).await
    }
}
