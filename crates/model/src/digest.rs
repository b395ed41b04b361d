use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::error::excerpt;

const PREFIX: &str = "sha256-";
const HEX_DIGITS: usize = 64;

/// The name of some bytes: `sha256-` and the SHA-256 of them as 64 lowercase hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        let mut hash = Sha256::new();
        leat_pauses::pieces(bytes).for_each(|piece| hash.update(piece));
        let hash = hash.finalize();
        let mut text = String::with_capacity(PREFIX.len() + HEX_DIGITS);
        text.push_str(PREFIX);
        for byte in hash {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The whole text, prefix included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let is_lowercase_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        match text.strip_prefix(PREFIX) {
            Some(hex) if hex.len() == HEX_DIGITS && hex.bytes().all(is_lowercase_hex) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Error::Digest { found: excerpt(text) }),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({})", self.0)
    }
}

impl AsRef<str> for Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_bytes_by_their_sha256() {
        // FIPS 180-4 example: the digest of "abc".
        let expected = "sha256-ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), expected);
        assert_eq!(expected.parse::<Digest>().unwrap(), Digest::of(b"abc"));
    }

    #[test]
    fn refuses_other_texts() {
        let good = Digest::of(b"").to_string();
        let upper = good.to_uppercase();
        let long = format!("{good}0");
        let many = "x".repeat(1 << 20);
        for text in ["", "sha256-", &good[7..], &upper, &long, &many, "sha256-é"] {
            let error = text.parse::<Digest>().unwrap_err();
            assert!(matches!(error, Error::Digest { .. }));
            assert!(error.to_string().len() < 500);
        }
    }

    #[test]
    fn travels_as_a_checked_string() {
        let json = serde_json::to_string(&Digest::of(b"abc")).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), Digest::of(b"abc"));
        assert!(serde_json::from_str::<Digest>("\"sha256-00\"").is_err());
    }
}
