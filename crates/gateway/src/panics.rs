//! A panic ends the task where it happens, and nobody waits for the tasks of connections.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use tracing::error;

/// Runs a task to its end. A panic is that end, and is logged: it is a fault of ours.
pub(crate) async fn noticed<T>(task: impl Future<Output = T>) {
    // Nothing that the task changed is looked at afterwards; what it shares with others holds no broken state across a panic.
    if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
        error!(panic = text(&*panic), "a connection or request ended in a panic");
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it left no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_after_a_panic_goes_on() {
        let mut came_to = 0;
        noticed(async {
            came_to = 1;
            assert!(came_to > 1, "on purpose");
        })
        .await;
        assert_eq!(came_to, 1);
    }

    #[test]
    fn a_panic_says_why() {
        assert_eq!(text(&"why"), "why");
        assert_eq!(text(&"why".to_owned()), "why");
        assert_eq!(text(&1), "it left no message");
    }
}
