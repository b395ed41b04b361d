//! Data sets, losses, optimisers, backpropagation, fitting and metrics.
