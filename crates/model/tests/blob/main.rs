//! The model blob from outside: golden bytes, round trips, validation and hostile input.
#![cfg(test)]

mod document;
mod golden;
mod hostile;
mod pausing;
mod random;
mod round_trip;
mod samples;
mod validation;
