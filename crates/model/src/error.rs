/// Why bytes are not a model, or a model is not one that can be written, read or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that should name content by its hash does not.
    #[error("digest must be `sha256-` and 64 lowercase hexadecimal digits, found {found:?}")]
    Digest {
        /// The text, cut short when it is long.
        found: String,
    },

    /// More bytes than a blob may have; see [`crate::blob::BYTES_MAX`].
    #[error("model blob of {bytes} bytes is larger than the limit of {bytes_max}")]
    TooLarge {
        /// How many there are.
        bytes: usize,
        /// How many there may be.
        bytes_max: usize,
    },

    /// The bytes end before the MessagePack value does.
    #[error("truncated MessagePack: the value at byte {offset} needs more bytes than there are")]
    Truncated {
        /// Where the value begins whose end is missing.
        offset: usize,
    },

    /// Bytes follow the MessagePack value.
    #[error("{count} trailing bytes after the MessagePack value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },

    /// The bytes break MessagePack or a limit on its structure.
    #[error("malformed MessagePack at byte {offset}: {reason}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },

    /// MessagePack, but not a model: the `format` field is missing or says something else.
    #[error("not a model blob: expected format \"leat.model\", found {found}")]
    Format {
        /// What stands there instead, cut short when it is long.
        found: String,
    },

    /// A model blob of a format version that this build does not know.
    #[error("model blob has format version {found}, but this build reads version {supported}")]
    FormatVersion {
        /// The version of the blob.
        found: u64,
        /// The version this build reads.
        supported: u32,
    },

    /// The document has a missing, unknown or repeated field, or a field of the wrong type.
    #[error("MessagePack document does not have the expected fields: {reason}")]
    Fields {
        /// What was expected and what was found, cut short when it is long.
        reason: String,
    },

    /// The document says the right thing in other bytes than the writer would use.
    #[error("MessagePack document is not in canonical form at byte {offset}")]
    Canonical {
        /// The first byte that differs from the canonical form.
        offset: usize,
    },

    /// The model contradicts itself or breaks a limit.
    #[error("invalid model: {place}: {reason}")]
    Invalid {
        /// The path to the part, for example `body.layers[1].weights`.
        place: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A document could not be written, for example because a sequence has no known length.
    #[error("cannot write MessagePack: {reason}")]
    Encode {
        /// Why.
        reason: String,
    },
}

impl Error {
    pub(crate) fn invalid(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), reason: reason.into() }
    }

    /// Puts the path of the enclosing part before the place of an [`Error::Invalid`].
    pub(crate) fn within(self, outer: impl std::fmt::Display) -> Self {
        match self {
            Self::Invalid { place, reason } if place.is_empty() => {
                Self::Invalid { place: outer.to_string(), reason }
            }
            Self::Invalid { place, reason } => Self::Invalid { place: format!("{outer}.{place}"), reason },
            other => other,
        }
    }
}

/// A text from outside, cut so that an error message stays short.
pub(crate) fn excerpt(text: &str) -> String {
    const CHARACTERS_MAX: usize = 200;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
