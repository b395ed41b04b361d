//! The leat command.
fn main() {}
