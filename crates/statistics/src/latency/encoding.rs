//! Reading histogram bytes that somebody else wrote.
//!
//! The decoder of `hdrhistogram` trusts its input: the bytes choose the size of the histogram, the length of a buffer
//! and the number of zeros to skip. So the bytes are checked here first, and it only sees what it can decode.

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;

use super::{COUNT_MAX, HIGHEST_NS, LOWEST_NS, SIGNIFICANT_DIGITS};
use crate::Error;

/// Cookie of the V2 encoding with word size 1 (ZigZag LEB128), uncompressed.
const COOKIE: u32 = 0x1c84_9303 | 0x10;
const HEADER_BYTES: usize = 40;
/// One count or one run of zeros takes at most this many bytes.
const NUMBER_BYTES_MAX: usize = 9;
/// Counts of a histogram of this shape; a test compares it with the real one.
pub(super) const COUNTS: usize = 27 * 1024;
pub(super) const BYTES_MAX: usize = HEADER_BYTES + COUNTS * NUMBER_BYTES_MAX;

pub(super) fn empty() -> Histogram<u64> {
    let histogram = Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, SIGNIFICANT_DIGITS);
    assert!(histogram.is_ok(), "1 ns to 60 s with 3 digits is a valid shape");
    histogram.unwrap_or_else(|_| unreachable!("asserted above"))
}

pub(super) fn check_sum(present: u64, added: u64) -> Result<(), Error> {
    match present.checked_add(added) {
        Some(sum) if sum <= COUNT_MAX => Ok(()),
        _ => Err(Error::CountOverflow { present, added, limit: COUNT_MAX }),
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<Histogram<u64>, Error> {
    if bytes.len() > BYTES_MAX {
        return Err(Error::TooLong { bytes: bytes.len(), limit: BYTES_MAX });
    }
    let Some((header, counts)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(malformed(format!("{} bytes are shorter than its header", bytes.len())));
    };
    check_header(header, counts.len())?;
    check_counts(counts)?;
    Deserializer::new().deserialize(&mut &bytes[..]).map_err(|error| malformed(error.to_string()))
}

fn malformed(reason: String) -> Error {
    Error::Malformed { reason }
}

/// The header is: cookie u32, length u32, index offset u32, digits u32, lowest u64, highest u64, ratio f64.
fn check_header(header: &[u8; HEADER_BYTES], counts_len: usize) -> Result<(), Error> {
    let short = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let long = |at: usize| (u64::from(short(at)) << 32) | u64::from(short(at + 4));
    if short(0) != COOKIE {
        return Err(malformed(format!("unknown cookie {:#010x}", short(0))));
    }
    if short(4) as usize != counts_len {
        return Err(malformed(format!("{counts_len} bytes of counts, {} announced", short(4))));
    }
    if short(8) != 0 || f64::from_bits(long(32)) != 1.0 {
        return Err(malformed("shifted or scaled counts are not supported".to_owned()));
    }
    let shape = [
        ("significant digits", u64::from(short(12)), u64::from(SIGNIFICANT_DIGITS)),
        ("lowest value", long(16), LOWEST_NS),
        ("highest value", long(24), HIGHEST_NS),
    ];
    for (field, found, expected) in shape {
        if found != expected {
            return Err(Error::ShapeMismatch { field, found, expected });
        }
    }
    Ok(())
}

/// Walks the counts without storing them: every number ends within the bytes, no index leaves the histogram and the sum
/// fits.
fn check_counts(mut counts: &[u8]) -> Result<(), Error> {
    let mut index: u64 = 0;
    let mut sum: u64 = 0;
    while !counts.is_empty() {
        let (number, rest) = read_number(counts)?;
        counts = rest;
        let advance = if number < 0 { number.unsigned_abs() } else { 1 };
        index = index.saturating_add(advance);
        if index > COUNTS as u64 {
            return Err(malformed(format!("more than {COUNTS} counts")));
        }
        let count = u64::try_from(number).unwrap_or(0);
        check_sum(sum, count)?;
        sum += count;
    }
    Ok(())
}

/// One signed number: ZigZag, then seven bits a byte, low first; a ninth byte carries eight bits.
fn read_number(bytes: &[u8]) -> Result<(i64, &[u8]), Error> {
    let mut value: u64 = 0;
    for (place, &byte) in bytes.iter().take(NUMBER_BYTES_MAX).enumerate() {
        let is_ninth = place + 1 == NUMBER_BYTES_MAX;
        let bits = if is_ninth { byte } else { byte & 0x7f };
        value |= u64::from(bits) << (7 * place);
        if is_ninth || byte & 0x80 == 0 {
            let number = (value >> 1) as i64 ^ -((value & 1) as i64);
            return Ok((number, bytes.get(place + 1..).unwrap_or_default()));
        }
    }
    Err(malformed("the last count is cut off".to_owned()))
}
