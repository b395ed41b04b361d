//! The service that turns a training job into a model version.
