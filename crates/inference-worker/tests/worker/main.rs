//! Workers on a real broker: every form of a request, every error, routes that move, workers that leave, a broker that dies.

mod answers;
mod cluster;
mod lifetime;
mod load;
mod models;
mod observation;
mod refusals;
mod routes;
