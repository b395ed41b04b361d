//! The content codings gzip (of one member) and deflate (RFC 9110), the latter in its zlib framing.

use std::io::{Read, Write};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::Compression;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};
use http::{HeaderMap, StatusCode, header};

use crate::refusal::Refusal;

/// Below this a compressed reply is hardly shorter.
const COMPRESS_BYTES_MIN: usize = 1024;

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
}

impl Coding {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    /// How the body of a request is coded, if it is.
    ///
    /// # Errors
    /// For any other coding.
    pub(crate) fn of_request(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let Some(value) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
        match value.to_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Self::Gzip)),
            "deflate" => Ok(Some(Self::Deflate)),
            other => {
                let other: String = other.chars().take(32).collect();
                let refusal = Refusal::invalid(format!("content-encoding {other:?} is not gzip or deflate"));
                Err(Refusal { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, ..refusal })
            }
        }
    }

    /// How a reply of some length should be coded for whoever sent these headers.
    pub(crate) fn of_reply(headers: &HeaderMap, bytes: usize) -> Option<Self> {
        let accepted = headers.get(header::ACCEPT_ENCODING)?.to_str().ok()?;
        if bytes < COMPRESS_BYTES_MIN {
            return None;
        }
        let accepts = |coding: Self| {
            accepted.split(',').any(|entry| {
                let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
                name.trim().eq_ignore_ascii_case(coding.as_str()) && !is_zero(weight)
            })
        };
        [Self::Gzip, Self::Deflate].into_iter().find(|coding| accepts(*coding))
    }

    /// Takes a body out of its coding step by step.
    pub(crate) fn decoder(self, body: Bytes) -> Decoder {
        match self {
            Self::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(body.reader()))),
            Self::Deflate => Decoder::Deflate(Box::new(ZlibDecoder::new(body.reader()))),
        }
    }

    /// Codes a reply. Memory cannot fail to be written to; if it did, the reply stays as it is.
    pub(crate) fn encode(self, body: &[u8]) -> Option<Bytes> {
        let coded = match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(body).and_then(|()| encoder.finish())
            }
        };
        coded.ok().map(Bytes::from)
    }
}

/// A body on its way out of its coding.
#[derive(Debug)]
pub(crate) enum Decoder {
    Gzip(Box<GzDecoder<Reader<Bytes>>>),
    Deflate(Box<ZlibDecoder<Reader<Bytes>>>),
}

impl Decoder {
    /// Appends at most `bytes_max` more bytes and gives how many; fewer come only at the end.
    ///
    /// # Errors
    /// When the body is not coded so, or something else follows.
    pub(crate) fn step(&mut self, bytes_max: usize, decoded: &mut Vec<u8>) -> Result<usize, Refusal> {
        let limit = bytes_max as u64;
        let (read, coding) = match self {
            Self::Gzip(decoder) => (decoder.take(limit).read_to_end(decoded), Coding::Gzip),
            Self::Deflate(decoder) => (decoder.take(limit).read_to_end(decoded), Coding::Deflate),
        };
        let wrong = |what: String| Refusal::invalid(format!("the body is not {}: {what}", coding.as_str()));
        let came = read.map_err(|error| wrong(error.to_string()))?;
        let rest = match self {
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Deflate(decoder) => decoder.get_ref().get_ref(),
        };
        // Further members of gzip are no exception: empty ones without end would take time and give nothing that a limit counts.
        if came < bytes_max && rest.has_remaining() {
            return Err(wrong("something follows its end".to_owned()));
        }
        Ok(came)
    }
}

/// Whether a weight says that the coding is not wanted: `q=0`.
fn is_zero(weight: &str) -> bool {
    let value = weight.trim().strip_prefix("q=").and_then(|value| value.parse::<f32>().ok());
    value == Some(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_end_is_refused() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let coded = coding.encode(b"body").unwrap();
            for follows in [&b"xx"[..], &coded] {
                let body = [&coded, follows].concat();
                assert!(coding.decoder(body.into()).step(100, &mut Vec::new()).is_err(), "{coding:?}");
            }
            assert_eq!(coding.decoder(coded).step(100, &mut Vec::new()).unwrap(), 4);
        }
    }

    #[test]
    fn what_is_coded_is_decoded_in_steps() {
        let text = vec![b'a'; 100_000];
        for coding in [Coding::Gzip, Coding::Deflate] {
            let coded = coding.encode(&text).unwrap();
            assert!(coded.len() < 2_000);
            let (mut decoder, mut decoded) = (coding.decoder(coded), Vec::new());
            assert_eq!(decoder.step(60_000, &mut decoded).unwrap(), 60_000);
            assert_eq!(decoder.step(60_000, &mut decoded).unwrap(), 40_000);
            assert_eq!(decoded, text);
            assert!(coding.decoder(Bytes::from("not coded")).step(100, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn the_caller_chooses_the_coding_of_the_reply() {
        let of = |accepted: &str, bytes| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, accepted.parse().unwrap())]);
            Coding::of_reply(&headers, bytes)
        };
        assert_eq!(of("deflate, gzip;q=0.5", 5_000), Some(Coding::Gzip));
        assert_eq!(of("gzip;q=0, deflate", 5_000), Some(Coding::Deflate));
        assert_eq!(of("br", 5_000), None);
        assert_eq!(of("gzip", 10), None);
    }
}
