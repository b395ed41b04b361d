//! Codes narrower than a byte. A code of `bits` bits at position `i` begins at bit `i · bits`, low bits first.

use crate::Error;

/// Bits of one index into `centroids` many values: the fewest that hold the count, at least one.
pub(super) fn index_bits(centroids: usize) -> usize {
    let largest = centroids.saturating_sub(1).max(1);
    ((usize::BITS - largest.leading_zeros()) as usize).min(8)
}

pub(super) fn pack_indices(indices: &[u8], centroids: usize) -> Result<Vec<u8>, Error> {
    if let Some(position) = indices.iter().position(|index| usize::from(*index) >= centroids) {
        let reason = format!("index {position} has no centroid among {centroids}");
        return Err(Error::invalid("centroids", reason));
    }
    Ok(pack(indices.iter().copied(), indices.len(), index_bits(centroids)))
}

pub(super) fn pack_nibbles(codes: &[i8]) -> Result<Vec<u8>, Error> {
    if let Some(position) = codes.iter().position(|code| !(-8..=7).contains(code)) {
        return Err(Error::invalid("codes", format!("code {position} does not fit 4 bits")));
    }
    Ok(pack(codes.iter().map(|code| code.cast_unsigned() & 0x0f), codes.len(), 4))
}

/// The index at position `position`; zero beyond the end.
pub(super) fn index(packed: &[u8], bits: usize, position: usize) -> usize {
    let first_bit = position.saturating_mul(bits);
    let byte = |offset: usize| packed.get(first_bit / 8 + offset).copied().unwrap_or(0);
    let window = u16::from_le_bytes([byte(0), byte(1)]);
    usize::from(window >> (first_bit % 8)) & ((1 << bits) - 1)
}

/// The signed 4-bit code at position `position`; zero beyond the end.
pub(super) fn nibble(packed: &[u8], position: usize) -> i8 {
    let byte = packed.get(position / 2).copied().unwrap_or(0);
    let high = if position.is_multiple_of(2) { byte << 4 } else { byte };
    // The arithmetic shift extends the sign.
    high.cast_signed() >> 4
}

/// Fails when a bit after the last code is set, because then one tensor would have several encodings.
pub(super) fn check_unused_bits(place: &str, packed: &[u8], count: usize, bits: usize) -> Result<(), Error> {
    let used = count.saturating_mul(bits) % 8;
    let is_clean = used == 0 || packed.last().is_none_or(|last| last >> used == 0);
    if is_clean { Ok(()) } else { Err(Error::invalid(place, "unused bits of the last byte are not zero")) }
}

fn pack(codes: impl Iterator<Item = u8>, count: usize, bits: usize) -> Vec<u8> {
    let mut packed = vec![0; (count * bits).div_ceil(8)];
    for (position, code) in codes.enumerate() {
        let first_bit = position * bits;
        let [low, high] = (u16::from(code) << (first_bit % 8)).to_le_bytes();
        for (offset, part) in [low, high].into_iter().enumerate() {
            if let Some(byte) = packed.get_mut(first_bit / 8 + offset) {
                *byte |= part;
            }
        }
    }
    packed
}
