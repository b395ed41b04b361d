//! What a model *is*: its network, the encodings of its tensors, what goes in and out, how raw features are prepared,
//! where it came from; and the MessagePack blob that carries all of it.
//!
//! This crate never runs a model, reads a file, looks at a clock or talks to a broker. It takes and gives bytes.
//!
//! Reading order: [`Model`], [`Signature`], [`Preprocessing`], [`Network`], [`Tensor`], [`Lineage`], [`blob`] (and [`messagepack`] under it),
//! [`limits`].

mod digest;
mod error;
mod lineage;
mod model;
mod network;
mod preprocessing;
mod profile;
mod reports;
mod signature;
mod tensor;

pub mod blob;
pub mod limits;
pub mod messagepack;

pub use digest::Digest;
pub use error::Error;
pub use lineage::Lineage;
pub use model::{Body, Model, Task};
pub use network::{Activation, ActivationQuantization, Dense, Network};
pub use preprocessing::{Preprocessing, Standardise};
pub use profile::{FeatureProfile, ReferenceProfile};
pub use reports::{CompressionReport, LayerReport, Metrics, TrainingReport};
pub use signature::{DataType, Signature, TensorSpec};
pub use tensor::{Encoding, Mask, Tensor};
