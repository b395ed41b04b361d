//! Models, versions, aliases and deployments as they stand at the broker: read them, change them by compare-and-set.
//!
//! The command and the gateway change the same documents by the same rules, which stand here. The crate never loads a model,
//! answers no request and keeps nothing: every answer is what the broker said just now.
//!
//! Reading order: [`Registry`] (versions and aliases), [`Deployments`] (what should be served), [`Catalogue`] (both, and
//! waiting until workers have followed).

mod catalogue;
mod deployments;
mod error;
mod fit;
mod readable;
mod registry;
mod rollout;

pub use catalogue::{Catalogue, PRODUCTION};
pub use deployments::Deployments;
pub use error::Error;
pub use readable::LeftOut;
pub use registry::Registry;
