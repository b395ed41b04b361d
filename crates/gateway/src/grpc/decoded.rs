//! What a message takes of the memory for bodies between the moment at which it is decoded and that at which somebody works on it. A message
//! that came compressed is many times larger than its bytes, and its client may leave the call open for a while.

use std::sync::{Mutex, PoisonError};

use crate::memory::{Memory, Share};
use crate::refusal::Refusal;

tokio::task_local! {
    /// That of the call that this task is in.
    static DECODED: Decoded;
}

struct Decoded {
    memory: Memory,
    share: Mutex<Share>,
}

/// Counts what is decoded in a call.
pub(super) async fn counted<T>(memory: &Memory, call: impl Future<Output = T>) -> T {
    let decoded = Decoded { memory: memory.clone(), share: Mutex::default() };
    DECODED.scope(decoded, call).await
}

/// Takes a share for a message of so many bytes. The messages of a stream are read outside of its call; whoever reads them counts them.
///
/// # Errors
/// When other bodies leave too little.
pub(super) fn grow(bytes: usize) -> Result<(), Refusal> {
    let grown = DECODED.try_with(|decoded| {
        let mut share = decoded.share.lock().unwrap_or_else(PoisonError::into_inner);
        decoded.memory.grow(&mut share, bytes)
    });
    grown.unwrap_or(Ok(()))
}

/// The share of the message that was decoded in this call, made to fit so many bytes.
///
/// # Errors
/// When other bodies leave too little.
pub(super) fn share(memory: &Memory, bytes: usize) -> Result<Share, Refusal> {
    let taken = DECODED.try_with(|decoded| {
        std::mem::take(&mut *decoded.share.lock().unwrap_or_else(PoisonError::into_inner))
    });
    let mut share = taken.unwrap_or_default();
    share.shrink(bytes);
    memory.grow(&mut share, bytes)?;
    Ok(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_decoded_message_is_counted_until_its_work_is_done() {
        let memory = Memory::new(100 * 1024);
        let is_free = |bytes| memory.share(bytes).is_ok();
        counted(&memory, async {
            grow(80 * 1024).unwrap();
            assert!(!is_free(30 * 1024) && grow(101 * 1024).is_err());
            let share = share(&memory, 60 * 1024).unwrap();
            assert!(is_free(40 * 1024) && !is_free(41 * 1024));
            drop(share);
            assert!(is_free(100 * 1024));
            grow(80 * 1024).unwrap();
        })
        .await;
        assert!(is_free(100 * 1024), "a call that ends gives everything back");
        grow(usize::MAX / 2).unwrap();
    }
}
