//! The service that turns a compression job into a smaller model version.
