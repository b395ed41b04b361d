//! The body of `:predict`: rows under `instances`, or columns under `inputs`.

use std::collections::BTreeMap;

use leat_contract::limits;

use super::cursor::Cursor;
use super::dense::{Dense, Values, is_base64};
use crate::refusal::Refusal;

/// How the tensors of a request stand, and those of its reply too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Rows,
    Columns,
}

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Predict {
    pub(super) form: Form,
    pub(super) signature: Option<String>,
    pub(super) tensors: Tensors,
}

/// The tensors of a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tensors {
    /// The only input of the model, without its name.
    Only(Dense),
    /// Every input by its name.
    Named(BTreeMap<String, Dense>),
}

impl Predict {
    /// Reads a body whose nesting was checked.
    ///
    /// # Errors
    /// When it is not such a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut cursor = Cursor::new(body);
        let (mut signature, mut rows, mut columns) = (None, None, None);
        cursor.object(|cursor, name| {
            match name {
                "signature_name" => signature = Some(cursor.string()?.into_owned()),
                "instances" if rows.is_none() => rows = Some(instances(cursor)?),
                "inputs" if columns.is_none() => columns = Some(inputs(cursor)?),
                "instances" | "inputs" => return Err(cursor.wrong("a name stands twice")),
                _ => cursor.skip()?,
            }
            Ok(())
        })?;
        cursor.end()?;
        let (form, tensors) = match (rows, columns) {
            (Some(rows), None) => (Form::Rows, rows),
            (None, Some(columns)) => (Form::Columns, columns),
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid("the request has both `instances` and `inputs`"));
            }
            (None, None) => return Err(Refusal::invalid("Missing 'inputs' or 'instances' key")),
        };
        Ok(Self { form, signature, tensors })
    }
}

/// A list of values for the only input, or a list of objects with every input.
fn instances(cursor: &mut Cursor<'_>) -> Result<Tensors, Refusal> {
    if cursor.peek() != Some(b'[') {
        return Err(cursor.wrong("Expecting 'instances' to be a list/array"));
    }
    let place = cursor.place();
    cursor.take(b'[');
    let has_objects = cursor.peek() == Some(b'{') && !is_base64(cursor);
    let is_empty = cursor.peek() == Some(b']');
    cursor.back(place);
    if is_empty {
        return Err(Refusal::invalid("Invalid value for 'instances': it has no entries"));
    }
    if !has_objects {
        return Dense::read(cursor).map(Tensors::Only);
    }
    let mut named: BTreeMap<String, Dense> = BTreeMap::new();
    let mut rows = 0_usize;
    cursor.list(|cursor| {
        if cursor.peek() != Some(b'{') {
            return Err(cursor.wrong("instances must be all objects or all values"));
        }
        let row = members(cursor)?;
        rows += 1;
        if rows > 1 && !row.keys().eq(named.keys()) {
            return Err(cursor.wrong("instances differ in their names"));
        }
        for (name, value) in row {
            match named.get_mut(&name) {
                Some(tensor) => tensor.stack(value, &name)?,
                None => drop(named.insert(name, value.first_row())),
            }
        }
        Ok(())
    })?;
    Ok(Tensors::Named(named))
}

/// The only input, or an object with every input.
fn inputs(cursor: &mut Cursor<'_>) -> Result<Tensors, Refusal> {
    if cursor.peek() == Some(b'{') && !is_base64(cursor) {
        return members(cursor).map(Tensors::Named);
    }
    Dense::read(cursor).map(Tensors::Only)
}

fn members(cursor: &mut Cursor<'_>) -> Result<BTreeMap<String, Dense>, Refusal> {
    let mut members = BTreeMap::new();
    cursor.object(|cursor, name| {
        let value = Dense::read(cursor)?;
        if matches!(value.values, Values::None) {
            return Err(cursor.wrong("a tensor has no values"));
        }
        let is_too_many = members.len() == limits::TENSORS_MAX;
        if is_too_many || members.insert(name.to_owned(), value).is_some() {
            return Err(cursor.wrong("a name stands twice, or there are too many"));
        }
        Ok(())
    })?;
    Ok(members)
}

#[cfg(test)]
mod tests;
