//! Mergeable sketches and pure statistics over counts.
