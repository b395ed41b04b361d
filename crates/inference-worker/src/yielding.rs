//! Threads whose work can wait let those go first who answer requests.

/// Lowers the priority of the calling thread by so many steps, 19 at most. Where that cannot be done for one thread alone, or is
/// not allowed, the thread goes on as before.
pub(crate) fn yield_to_others(steps: i32) {
    // On Linux every thread has a priority of its own; elsewhere this would slow down the whole process.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::nice(steps)
    {
        tracing::debug!(%error, "a background thread keeps the usual priority");
    }
}
