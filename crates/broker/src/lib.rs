//! A NATS server with JetStream: found, fetched, checked, started and stopped.
