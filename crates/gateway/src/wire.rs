//! The messages and service traits that `build.rs` makes from `proto/grpc`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "the code is generated"
)]

pub(crate) mod inference {
    tonic::include_proto!("inference");
}

pub(crate) mod health {
    tonic::include_proto!("grpc.health.v1");
}
