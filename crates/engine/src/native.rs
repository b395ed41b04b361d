//! The plan of a native network: preparation, dense layers, and the head that the task asks for.

mod divided;
mod layer;
mod network_plan;
mod stored;
mod without_zeros;

pub(crate) use network_plan::NetworkPlan;

/// How many rows go through all layers together. Enough to reuse each panel of weights many times, few enough that the rows
/// between two layers stay in the cache; a multiple of the tiles' rows.
const BLOCK: usize = 96;
/// Likewise for networks whose weights come from memory with each block: more rows then share the way.
const BLOCK_FROM_MEMORY: usize = 2 * BLOCK;
/// Weights of more bytes are taken to come from memory.
const CACHED_BYTES: usize = 16 << 20;
