//! The whole system, as its users meet it: real processes, a real broker, real requests.

mod broker_restart;
mod command_line;
mod introspection;
mod jobs;
mod python_client;
mod refusals;
mod routes;
mod town;
mod worker_loss;
