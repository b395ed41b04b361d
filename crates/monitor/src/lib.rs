//! The service that merges worker telemetry and labels into windows and alerts.
