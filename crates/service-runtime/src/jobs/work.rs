//! What a service says about its kind of job.

use std::future::Future;

use leat_contract::{JobKind, JobStatus, Manifest};

use super::{Failure, Pulse};
use crate::Context;

/// One kind of job.
pub trait Work: Send + Sync + 'static {
    /// Which one.
    const KIND: JobKind;
    /// What it does, for a person who asks the service who it is.
    const DESCRIPTION: &'static str;
    /// The name of the service that does it, in kebab case.
    const SERVICE: &'static str;
    /// Everything the computation needs.
    type Input: Send + 'static;

    /// Gets what the job names. The specification has been validated. Dropping the future must lose nothing.
    fn gather(
        &self,
        job: &JobStatus,
        context: &Context,
    ) -> impl Future<Output = Result<Self::Input, Failure>> + Send;

    /// Computes the product, on a thread of its own. `resume` is the last checkpoint of an earlier attempt.
    ///
    /// It must call [`Pulse::beat`] or [`Pulse::progress`] more often than the stall limit and end with
    /// [`Failure::Stopped`] when they say so. The same job must give the same blob.
    fn compute(input: Self::Input, resume: Option<Vec<u8>>, pulse: &mut Pulse) -> Result<Product, Failure>;
}

/// What a job made.
#[derive(Clone, Debug)]
pub struct Product {
    /// The bytes of the model.
    pub blob: Vec<u8>,
    /// What the registry shall say of it. Job, version and time are set when it is registered.
    pub manifest: Manifest,
}
