//! MessagePack documents with named fields: how the model layer turns its structures into bytes and back.
//!
//! Writing is deterministic as long as the structure is (no hash maps). Reading looks over the structure first, so that a
//! length that promises more than the bytes hold costs nothing, and refuses bytes after the document.

mod scan;

use std::io;

use leat_pauses::{pause, pieces};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::excerpt;

pub mod f32_bytes;

/// Writes `document` with its field names.
///
/// # Errors
/// [`Error::Encode`] when the structure cannot be expressed, for example a sequence of unknown length.
pub fn encode<T: Serialize + ?Sized>(document: &T) -> Result<Vec<u8>, Error> {
    rmp_serde::to_vec_named(document).map_err(|error| Error::Encode { reason: error.to_string() })
}

/// Reads exactly one document. Unknown fields are refused when `T` says `deny_unknown_fields`.
///
/// # Errors
/// [`Error::Truncated`], [`Error::TrailingBytes`] or [`Error::Malformed`] when the bytes are not one MessagePack value,
/// [`Error::Fields`] when the value is not a `T`.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    decode_bounded(bytes, usize::MAX)
}

/// Like [`decode`], and no array or map has more than `sequence_max` entries.
pub(crate) fn decode_bounded<'de, T>(bytes: &'de [u8], sequence_max: usize) -> Result<T, Error>
where
    T: Deserialize<'de>,
{
    scan::scan(bytes, sequence_max)?;
    rmp_serde::from_slice(bytes).map_err(|error| Error::Fields { reason: excerpt(&error.to_string()) })
}

/// Like [`decode_bounded`], for a document that has exactly one form: writing what was read gives the same bytes again.
/// So optional fields must be there, fields stand in order, and numbers are as short as they can be.
pub(crate) fn decode_canonical<'de, T>(bytes: &'de [u8], sequence_max: usize) -> Result<T, Error>
where
    T: Deserialize<'de> + Serialize,
{
    let document = decode_bounded(bytes, sequence_max)?;
    check_canonical(&document, bytes)?;
    Ok(document)
}

fn check_canonical<T: Serialize>(document: &T, bytes: &[u8]) -> Result<(), Error> {
    let mut comparison = Comparison { rest: bytes, since_pause: 0 };
    let written = document.serialize(&mut rmp_serde::Serializer::new(&mut comparison).with_struct_map());
    let is_same = written.is_ok() && comparison.rest.is_empty();
    if is_same { Ok(()) } else { Err(Error::Canonical { offset: bytes.len() - comparison.rest.len() }) }
}

/// Takes written bytes and compares them with those expected, instead of keeping them.
struct Comparison<'a> {
    rest: &'a [u8],
    /// How many bytes were written since the last pause. Many writes are far smaller than a piece.
    since_pause: usize,
}

/// After so many bytes there is a pause, however small the writes were.
const PAUSE_BYTES: usize = 1 << 14;

impl io::Write for Comparison<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        for piece in pieces(written) {
            self.rest = self.rest.strip_prefix(piece).ok_or(io::ErrorKind::InvalidData)?;
        }
        self.since_pause += written.len();
        if self.since_pause >= PAUSE_BYTES {
            self.since_pause = 0;
            pause();
        }
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
