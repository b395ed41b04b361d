//! The main job on real data: train, compress, deploy, serve under load, lose a worker, compare with labels.

mod data;
mod scenario;
mod story;
mod summary;

pub(crate) use scenario::Scenario;
pub(crate) use story::Story;
pub(crate) use summary::Summary;
