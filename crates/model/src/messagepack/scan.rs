use crate::Error;

/// Nesting that no document of ours reaches; keeps hostile ones from exhausting the stack.
const DEPTH_MAX: usize = 32;

/// What the bytes after a marker are.
enum Shape {
    /// So many bytes that hold no further values.
    Bytes(usize),
    /// So many values.
    Values(usize),
    /// So many pairs of values.
    Pairs(usize),
}

/// Walks over one MessagePack value without building it: it must end where `bytes` end, every array or map has at most
/// `sequence_max` entries, and no length may promise more than the bytes can hold.
pub(super) fn scan(bytes: &[u8], sequence_max: usize) -> Result<(), Error> {
    let mut scanner = Scanner { bytes, offset: 0, sequence_max };
    scanner.value(0)?;
    match scanner.left() {
        0 => Ok(()),
        count => Err(Error::TrailingBytes { count }),
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    offset: usize,
    sequence_max: usize,
}

impl Scanner<'_> {
    fn value(&mut self, depth: usize) -> Result<(), Error> {
        let start = self.offset;
        if depth > DEPTH_MAX {
            return Err(Error::Malformed { offset: start, reason: "nested too deeply" });
        }
        let values = match self.shape(start)? {
            Shape::Bytes(count) => return self.skip(start, count),
            Shape::Values(count) => self.entries(start, count)?,
            Shape::Pairs(count) => self.entries(start, count)?.saturating_mul(2),
        };
        // Each value takes at least one byte.
        if values > self.left() {
            return Err(Error::Truncated { offset: start });
        }
        (0..values).try_for_each(|_| self.value(depth + 1))
    }

    fn entries(&self, start: usize, count: usize) -> Result<usize, Error> {
        if count <= self.sequence_max {
            return Ok(count);
        }
        Err(Error::Malformed { offset: start, reason: "an array or map has too many entries" })
    }

    /// Reads a marker and the length that belongs to it.
    fn shape(&mut self, start: usize) -> Result<Shape, Error> {
        let marker = self.unsigned(start, 1)?;
        Ok(match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Shape::Bytes(0),
            0x80..=0x8f => Shape::Pairs(marker & 0x0f),
            0x90..=0x9f => Shape::Values(marker & 0x0f),
            0xa0..=0xbf => Shape::Bytes(marker & 0x1f),
            0xcc | 0xd0 => Shape::Bytes(1),
            0xcd | 0xd1 => Shape::Bytes(2),
            0xca | 0xce | 0xd2 => Shape::Bytes(4),
            0xcb | 0xcf | 0xd3 => Shape::Bytes(8),
            0xc4 | 0xd9 => Shape::Bytes(self.unsigned(start, 1)?),
            0xc5 | 0xda => Shape::Bytes(self.unsigned(start, 2)?),
            0xc6 | 0xdb => Shape::Bytes(self.unsigned(start, 4)?),
            0xdc => Shape::Values(self.unsigned(start, 2)?),
            0xdd => Shape::Values(self.unsigned(start, 4)?),
            0xde => Shape::Pairs(self.unsigned(start, 2)?),
            0xdf => Shape::Pairs(self.unsigned(start, 4)?),
            0xc1 => return Err(Error::Malformed { offset: start, reason: "the marker 0xc1 is reserved" }),
            _ => return Err(Error::Malformed { offset: start, reason: "extension types are not used" }),
        })
    }

    /// Reads a big-endian number of `width` bytes, at most 4.
    fn unsigned(&mut self, start: usize, width: usize) -> Result<usize, Error> {
        let digits = self.offset..self.offset.saturating_add(width);
        let digits = self.bytes.get(digits).ok_or(Error::Truncated { offset: start })?;
        self.offset += width;
        Ok(digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)))
    }

    fn skip(&mut self, start: usize, count: usize) -> Result<(), Error> {
        if count > self.left() {
            return Err(Error::Truncated { offset: start });
        }
        self.offset += count;
        Ok(())
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.offset
    }
}
