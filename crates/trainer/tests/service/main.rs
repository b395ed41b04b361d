//! The trainer with a real broker: what becomes of jobs, whatever happens meanwhile.

mod endings;
mod interruptions;
mod running;
mod versions;
