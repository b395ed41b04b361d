//! A coded body that grows within the limits of bodies.

use bytes::Bytes;

use super::{Held, too_large};
use crate::coding::{Coding, Decoder};
use crate::memory::{Memory, Share};
use crate::refusal::Refusal;

/// What is decoded before the share grows again.
const STEP_BYTES: usize = 64 * 1024;

/// A body that is being decoded. What it was coded as keeps its share until then.
#[derive(Debug)]
pub(super) struct Inflating {
    decoder: Decoder,
    decoded: Vec<u8>,
    share: Share,
    memory: Memory,
    bytes_max: usize,
    _coded: Share,
}

impl Inflating {
    pub(super) fn new(held: Held, coding: Coding, memory: Memory, bytes_max: usize) -> Self {
        let Held { bytes, share: coded } = held;
        let decoder = coding.decoder(bytes);
        Self { decoder, decoded: Vec::new(), share: Share::default(), memory, bytes_max, _coded: coded }
    }

    /// Decodes until the body ends or has more than `bytes`; says whether it ended.
    ///
    /// # Errors
    /// When it is not coded so, becomes larger than a body may be, or other bodies leave no memory.
    pub(super) fn advance(&mut self, bytes: usize) -> Result<bool, Refusal> {
        while self.decoded.len() <= bytes {
            let came = self.decoder.step(STEP_BYTES, &mut self.decoded)?;
            if self.decoded.len() > self.bytes_max {
                return Err(too_large(self.bytes_max));
            }
            self.memory.grow(&mut self.share, self.decoded.len())?;
            if came < STEP_BYTES {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What was decoded so far, with its share.
    pub(super) fn into_held(self) -> Held {
        Held { bytes: Bytes::from(self.decoded), share: self.share }
    }
}
