use std::borrow::Cow;
use std::fmt;

use leat_pauses::pieces;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Bytes in a document. Borrowed from the input when read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bin<'a>(pub(crate) Cow<'a, [u8]>);

impl<'a> Bin<'a> {
    pub(crate) fn borrowed(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    pub(crate) fn from_f32(values: &[f32]) -> Self {
        Self::from_words(values.iter().map(|value| value.to_le_bytes()))
    }

    pub(crate) fn from_words<const N: usize>(words: impl Iterator<Item = [u8; N]>) -> Self {
        Self(words.flatten().collect())
    }

    /// The bytes themselves.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        let bytes = match self.0 {
            Cow::Borrowed(bytes) => bytes,
            Cow::Owned(bytes) => return bytes,
        };
        let mut copy = Vec::with_capacity(bytes.len());
        pieces(bytes).for_each(|piece| copy.extend_from_slice(piece));
        copy
    }

    /// The bytes as f32 values; none when their count is not a multiple of four.
    pub(crate) fn to_f32(&self) -> Option<Vec<f32>> {
        self.to_words(f32::from_le_bytes)
    }

    /// As [`Bin::to_f32`], with an error that names the place.
    pub(crate) fn f32_at(&self, place: &str) -> Result<Vec<f32>, Error> {
        self.words_at(place, f32::from_le_bytes)
    }

    /// Values of `N` bytes each.
    pub(crate) fn words_at<const N: usize, T>(
        &self,
        place: &str,
        word: impl Fn([u8; N]) -> T,
    ) -> Result<Vec<T>, Error> {
        self.to_words(word)
            .ok_or_else(|| Error::invalid(place, format!("{} bytes are not a multiple of {N}", self.0.len())))
    }

    fn to_words<const N: usize, T>(&self, word: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (words, rest) = self.0.as_chunks::<N>();
        if !rest.is_empty() {
            return None;
        }
        let mut values = Vec::with_capacity(words.len());
        for piece in pieces(words) {
            values.extend(piece.iter().map(|bytes| word(*bytes)));
        }
        Some(values)
    }
}

impl Serialize for Bin<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bin<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BinVisitor)
    }
}

struct BinVisitor;

impl<'de> Visitor<'de> for BinVisitor {
    type Value = Bin<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("bytes")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(Bin::borrowed(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Bin(Cow::Owned(bytes.to_vec())))
    }
}
