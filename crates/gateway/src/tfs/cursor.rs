//! Reading JSON with the three words that TensorFlow Serving adds to it: `NaN`, `Infinity` and `-Infinity`.

use std::borrow::Cow;

use memchr::memchr2;

use crate::refusal::Refusal;

/// A place in a text. Nesting was checked before, so that recursion is bounded.
pub(super) struct Cursor<'text> {
    text: &'text [u8],
    at: usize,
}

impl<'text> Cursor<'text> {
    pub(super) fn new(text: &'text [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte that is no white space, which stays.
    pub(super) fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Takes a byte if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes a byte that must be next.
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Refusal> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(&format!("expected {:?}", char::from(byte)))) }
    }

    /// Takes a word that must be next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let is_next = self.peek().is_some()
            && self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    /// Takes a string, its escapes resolved.
    pub(super) fn string(&mut self) -> Result<Cow<'text, str>, Refusal> {
        self.expect(b'"')?;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let offset = memchr2(b'"', b'\\', rest).ok_or_else(|| self.wrong("a string does not end"))?;
            self.at += offset;
            if rest.get(offset) == Some(&b'"') {
                break;
            }
            has_escapes = true;
            self.at += 2;
        }
        let inside = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        if has_escapes || inside.iter().any(u8::is_ascii_control) {
            let quoted = self.text.get(start - 1..self.at).unwrap_or_default();
            return serde_json::from_slice(quoted)
                .map(Cow::Owned)
                .map_err(|error| self.wrong(&error.to_string()));
        }
        std::str::from_utf8(inside).map(Cow::Borrowed).map_err(|_| self.wrong("a string is not UTF-8"))
    }

    /// Takes a number or one of the three words.
    pub(super) fn number(&mut self) -> Result<f64, Refusal> {
        for (word, value) in
            [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)]
        {
            if self.word(word) {
                return Ok(value);
            }
        }
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let token = rest.get(..length).unwrap_or_default();
        let number = serde_json::from_slice::<f64>(token).map_err(|_| self.wrong("expected a value"))?;
        self.at += length;
        Ok(number)
    }

    /// Passes over any value.
    pub(super) fn skip(&mut self) -> Result<(), Refusal> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'[') => self.list(|cursor| cursor.skip()),
            Some(b'{') => self.object(|cursor, _| cursor.skip()),
            _ if self.word("null") || self.word("true") || self.word("false") => Ok(()),
            _ => self.number().map(drop),
        }
    }

    /// Takes a list, each entry by `entry`.
    pub(super) fn list(
        &mut self,
        mut entry: impl FnMut(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            entry(self)?;
            if !self.take(b',') {
                return self.expect(b']');
            }
        }
    }

    /// Takes an object, each member by `member`, which gets its name and must take its value.
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let name = self.string()?;
            self.expect(b':')?;
            member(self, &name)?;
            if !self.take(b',') {
                return self.expect(b'}');
            }
        }
    }

    /// Whether nothing follows.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wrong("something follows the object")) }
    }

    /// Goes back to a place that [`Cursor::place`] gave.
    pub(super) fn back(&mut self, place: usize) {
        self.at = place;
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// A refusal that says where.
    pub(super) fn wrong(&self, reason: &str) -> Refusal {
        Refusal::invalid(format!("JSON Parse error: {reason} at offset {}", self.at))
    }
}
