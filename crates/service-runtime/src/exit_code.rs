//! Exit codes of a service, after `sysexits.h`, so that a supervisor can tell what to do.

/// Stopped when asked, nothing lost.
pub const SUCCESS: u8 = 0;
/// The broker cannot be reached or is too old. Starting again later may help.
pub const UNAVAILABLE: u8 = 69;
/// The service failed. A defect, or its cause is in the log.
pub const FAILED: u8 = 70;
/// The machine refused something, for example a port that is taken.
pub const MACHINE: u8 = 71;
/// Stopping took longer than allowed; work may have been cut off.
pub const INCOMPLETE: u8 = 75;
/// The broker refused the credentials. Starting again does not help.
pub const REFUSED: u8 = 77;
/// The settings are wrong. Starting again does not help.
pub const SETTINGS: u8 = 78;
/// A second signal ended it at once.
pub const INTERRUPTED: u8 = 130;
