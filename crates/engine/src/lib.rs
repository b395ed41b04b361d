//! A model compiled to a plan that runs a batch.
