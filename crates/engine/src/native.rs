//! The plan of a native network: preparation, dense layers, and the head that the task asks for.

mod layer;
mod network_plan;
mod stored;
mod without_zeros;

pub(crate) use network_plan::NetworkPlan;

/// How many rows go through all layers together. Enough to reuse each panel of weights many times, few enough that the rows
/// between two layers stay in the cache; a multiple of the tiles' rows.
const BLOCK: usize = 96;
