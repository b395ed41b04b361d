//! The plan of a native network: preparation, dense layers, and the head that the task asks for.

mod layer;
mod network_plan;

pub(crate) use network_plan::NetworkPlan;
