//! What can be wrong with statistics that arrive as bytes.

/// Why serialised statistics were refused. The receiver's own state is unchanged whenever one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than any histogram of this shape can need.
    #[error("histogram is too long: {bytes} bytes, at most {limit} are accepted")]
    TooLong {
        /// Bytes received.
        bytes: usize,
        /// Bytes accepted at most.
        limit: usize,
    },
    /// The bytes are not a histogram in the V2 encoding, uncompressed.
    #[error("histogram is malformed: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// A well-formed histogram whose range or precision differs, so that its counts cannot be added.
    #[error("histogram has another shape: {field} is {found}, expected {expected}")]
    ShapeMismatch {
        /// Which part of the shape differs.
        field: &'static str,
        /// The value in the bytes.
        found: u64,
        /// The value this histogram has.
        expected: u64,
    },
    /// The sum of all counts would no longer fit.
    #[error("histogram count overflows: {present} present and {added} to add exceed {limit}")]
    CountOverflow {
        /// Samples counted here already.
        present: u64,
        /// Samples in the bytes.
        added: u64,
        /// The largest sum accepted.
        limit: u64,
    },
}
