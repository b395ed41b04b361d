//! Memory that replies share: one by one they would each take some, and give it back as soon as they are sent.

use bytes::{Bytes, BytesMut};

/// Replies that are longer have memory of their own, which goes when they are sent.
const SHARED_MAX: usize = 4096;
/// As many bytes are taken at once. They are used again when all replies in them were sent.
const PIECE: usize = 16 * 1024;

/// Where one reply after the other is written.
#[derive(Debug, Default)]
pub(crate) struct ReplyMemory {
    /// The reply that is being written.
    pub(crate) written: Vec<u8>,
    piece: BytesMut,
}

impl ReplyMemory {
    /// Takes out what was written.
    pub(crate) fn take(&mut self) -> Bytes {
        if self.written.len() > SHARED_MAX {
            return std::mem::take(&mut self.written).into();
        }
        if self.piece.capacity() < self.written.len() {
            self.piece.reserve(PIECE);
        }
        self.piece.extend_from_slice(&self.written);
        self.written.clear();
        self.piece.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(memory: &mut ReplyMemory, len: usize, byte: u8) -> Bytes {
        memory.written.resize(len, byte);
        memory.take()
    }

    #[test]
    fn replies_keep_what_was_written_whatever_comes_after_them() {
        let mut memory = ReplyMemory::default();
        let lengths = [0, 1, 300, SHARED_MAX, SHARED_MAX + 1, PIECE, 2];
        let replies: Vec<Bytes> =
            (0..10).flat_map(|_| lengths).zip(0..).map(|(len, byte)| reply(&mut memory, len, byte)).collect();
        for (byte, reply) in (0..).zip(&replies) {
            assert_eq!(reply.len(), lengths[usize::from(byte) % lengths.len()]);
            assert!(reply.iter().all(|found| *found == byte));
        }
    }

    #[test]
    fn replies_that_were_sent_leave_their_memory_to_the_next() {
        let mut memory = ReplyMemory::default();
        let allocated = |memory: &mut ReplyMemory| {
            allocation_counter::measure(|| (0..100).for_each(|_| drop(reply(memory, 300, 1)))).count_total
        };
        allocated(&mut memory);
        assert_eq!(allocated(&mut memory), 0);
    }
}
