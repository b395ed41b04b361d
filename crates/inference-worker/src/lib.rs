//! The service that follows desired state, loads models and answers inference requests.
