//! Nested lists of one shape, read into one flat list.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use leat_contract::limits;

use super::cursor::Cursor;
use crate::refusal::Refusal;

/// Values of one kind and their shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Dense {
    /// The length of each dimension; none for a single value.
    pub(super) shape: Vec<usize>,
    pub(super) values: Values,
}

/// The values, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    None,
    Numbers(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
}

impl Dense {
    /// Reads nested lists, or one value.
    ///
    /// # Errors
    /// When lists differ in their length or values in their kind, and for more values than a request may have.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, Refusal> {
        let mut dense = Self { shape: Vec::new(), values: Values::None };
        let mut known = Vec::new();
        dense.descend(cursor, 0, &mut known)?;
        let lengths: Option<Vec<usize>> = known.into_iter().collect();
        dense.shape = lengths.ok_or_else(|| cursor.wrong("lists are not of one depth"))?;
        Ok(dense)
    }

    /// Puts another value of the same shape behind; `count` are here already.
    ///
    /// # Errors
    /// When the other has another shape or kind.
    pub(super) fn stack(&mut self, other: Self, name: &str) -> Result<(), Refusal> {
        if self.shape.get(1..) != Some(other.shape.as_slice()) {
            let message = format!("the rows of {name:?} differ in their shape");
            return Err(Refusal::invalid(message));
        }
        match (&mut self.values, other.values) {
            (Values::Numbers(values), Values::Numbers(mut more)) => values.append(&mut more),
            (Values::Bools(values), Values::Bools(mut more)) => values.append(&mut more),
            (Values::Texts(values), Values::Texts(mut more)) => values.append(&mut more),
            (Values::None, Values::None) => {}
            _ => {
                return Err(Refusal::invalid(format!("the rows of {name:?} differ in their kind of values")));
            }
        }
        if let Some(rows) = self.shape.first_mut() {
            *rows += 1;
        }
        Ok(())
    }

    /// The same as the first of several rows.
    pub(super) fn first_row(mut self) -> Self {
        self.shape.insert(0, 1);
        self
    }

    fn descend(
        &mut self,
        cursor: &mut Cursor<'_>,
        depth: usize,
        known: &mut Vec<Option<usize>>,
    ) -> Result<(), Refusal> {
        if cursor.peek() != Some(b'[') {
            // The first value says how deep lists are; every other one must be as deep.
            let is_first = matches!(self.values, Values::None);
            if (is_first && known.len() > depth) || (!is_first && known.len() != depth) {
                return Err(cursor.wrong("lists are not of one depth"));
            }
            return self.leaf(cursor);
        }
        if known.len() == depth {
            let is_first = matches!(self.values, Values::None) && depth < limits::DIMENSIONS_MAX;
            if !is_first {
                return Err(cursor.wrong("lists are not of one depth"));
            }
            known.push(None);
        }
        let mut length = 0;
        cursor.list(|cursor| {
            length += 1;
            self.descend(cursor, depth + 1, known)
        })?;
        match known.get_mut(depth) {
            Some(Some(expected)) if *expected != length => Err(cursor.wrong("lists differ in their length")),
            Some(expected) => {
                *expected = Some(length);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn leaf(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Refusal> {
        match cursor.peek() {
            Some(b'"') => {
                let text = cursor.string()?.into_owned();
                self.text(text, cursor)
            }
            Some(b'{') => {
                let text = base64(cursor)?;
                self.text(text, cursor)
            }
            _ if cursor.word("true") => self.bool(true, cursor),
            _ if cursor.word("false") => self.bool(false, cursor),
            _ => {
                let number = cursor.number()?;
                self.number(number, cursor)
            }
        }
    }

    fn number(&mut self, value: f64, cursor: &Cursor<'_>) -> Result<(), Refusal> {
        match &mut self.values {
            Values::None => self.values = Values::Numbers(vec![value]),
            Values::Numbers(values) if values.len() < limits::VALUES_MAX => values.push(value),
            Values::Numbers(_) => return Err(too_many("values", limits::VALUES_MAX)),
            _ => return Err(cursor.wrong("values differ in their kind")),
        }
        Ok(())
    }

    fn bool(&mut self, value: bool, cursor: &Cursor<'_>) -> Result<(), Refusal> {
        match &mut self.values {
            Values::None => self.values = Values::Bools(vec![value]),
            Values::Bools(values) if values.len() < limits::VALUES_MAX => values.push(value),
            Values::Bools(_) => return Err(too_many("values", limits::VALUES_MAX)),
            _ => return Err(cursor.wrong("values differ in their kind")),
        }
        Ok(())
    }

    fn text(&mut self, value: String, cursor: &Cursor<'_>) -> Result<(), Refusal> {
        match &mut self.values {
            Values::None => self.values = Values::Texts(vec![value]),
            Values::Texts(values) if values.len() < limits::TEXTS_MAX => values.push(value),
            Values::Texts(_) => return Err(too_many("texts", limits::TEXTS_MAX)),
            _ => return Err(cursor.wrong("values differ in their kind")),
        }
        Ok(())
    }
}

fn too_many(what: &str, limit: usize) -> Refusal {
    Refusal::too_large(format!("more than {limit} {what} in one request"))
}

/// Whether an object with one member `b64` is next, which is a value and no object.
pub(super) fn is_base64(cursor: &mut Cursor<'_>) -> bool {
    let place = cursor.place();
    let found = cursor.take(b'{') && cursor.string().is_ok_and(|name| name == "b64");
    cursor.back(place);
    found
}

/// `{"b64": "…"}`. Models of ours take text, so the bytes must be UTF-8.
fn base64(cursor: &mut Cursor<'_>) -> Result<String, Refusal> {
    let mut bytes = None;
    cursor.object(|cursor, name| {
        if name != "b64" || bytes.is_some() {
            return Err(cursor.wrong("expected a value or an object with only `b64`"));
        }
        let text = cursor.string()?;
        let decoded =
            [STANDARD, STANDARD_NO_PAD, URL_SAFE].iter().find_map(|form| form.decode(text.as_bytes()).ok());
        bytes = Some(decoded.ok_or_else(|| cursor.wrong("`b64` is not base64"))?);
        Ok(())
    })?;
    let bytes = bytes.ok_or_else(|| cursor.wrong("expected a value"))?;
    String::from_utf8(bytes).map_err(|_| cursor.wrong("the bytes of `b64` are not text in UTF-8"))
}
