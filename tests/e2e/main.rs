//! The whole system, as its users meet it: real processes, a real broker, real requests.
