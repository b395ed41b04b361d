//! The memory that the bodies of all requests share, over HTTP and gRPC.

use std::sync::Arc;
use std::time::Duration;

use leat_contract::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// The memory is counted in steps of this size.
const STEP_BYTES: usize = 1024;

/// The memory for bodies. Clones are the same memory.
#[derive(Debug, Clone)]
pub(crate) struct Memory(Arc<Semaphore>);

/// What one body has of the memory, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(STEP_BYTES).min(Semaphore::MAX_PERMITS))))
    }

    /// A share for so many bytes.
    ///
    /// # Errors
    /// When other bodies leave too little.
    pub(crate) fn share(&self, bytes: usize) -> Result<Share, Refusal> {
        let mut share = Share::default();
        self.grow(&mut share, bytes)?;
        Ok(share)
    }

    /// Makes a share large enough for so many bytes in all.
    ///
    /// # Errors
    /// When other bodies leave too little; the share stays what it is.
    pub(crate) fn grow(&self, share: &mut Share, bytes: usize) -> Result<(), Refusal> {
        let missing = bytes.div_ceil(STEP_BYTES).saturating_sub(share.steps());
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_| full())?;
        let more = self.0.clone().try_acquire_many_owned(missing).map_err(|_| full())?;
        match &mut share.0 {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

impl Share {
    /// Gives back what is more than for so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let surplus = self.steps().saturating_sub(bytes.div_ceil(STEP_BYTES));
        drop(self.0.as_mut().and_then(|permit| permit.split(surplus)));
    }

    fn steps(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

fn full() -> Refusal {
    let message = "other requests fill the memory for bodies (setting gateway.bodies_bytes_max)";
    Refusal::new(ErrorCode::Overloaded, message).retry_after(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_grow_while_there_is_room_and_are_given_back() {
        let memory = Memory::new(10 * STEP_BYTES);
        let mut share = memory.share(1).unwrap();
        memory.grow(&mut share, 6 * STEP_BYTES).unwrap();
        memory.grow(&mut share, 2).unwrap();
        assert_eq!(share.steps(), 6);
        share.shrink(7 * STEP_BYTES);
        share.shrink(6 * STEP_BYTES - 1);
        assert_eq!(share.steps(), 6);
        let refusal = memory.share(4 * STEP_BYTES + 1).unwrap_err();
        assert_eq!((refusal.code, refusal.retry_after_seconds()), (ErrorCode::Overloaded, Some(1)));
        assert_eq!(refusal.status, http::StatusCode::TOO_MANY_REQUESTS);
        share.shrink(1);
        assert!(memory.share(9 * STEP_BYTES).is_ok());
        drop(share);
        assert!(memory.share(10 * STEP_BYTES).is_ok());
    }
}
