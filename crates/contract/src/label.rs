//! Ground truth for earlier requests.

use std::fmt;

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use crate::{RequestId, Scalar, limits, scalar::ScalarVisitor};

/// What the answer to a request should have been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The `id` the request had.
    pub request_id: RequestId,
    /// The truth.
    pub label: LabelValue,
    /// When it was known, in unix milliseconds; by default when the message was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
}

/// The truth for one row, or for each row of the request in order. A regression with several targets has one list per row.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LabelValue {
    /// The request had one row.
    One(Scalar),
    /// One value per row.
    Rows(Vec<Scalar>),
    /// One list of targets per row.
    Targets(Vec<Vec<f64>>),
}

impl LabelValue {
    /// How many rows it speaks of.
    pub fn rows(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Rows(rows) => rows.len(),
            Self::Targets(rows) => rows.len(),
        }
    }
}

impl<'de> Deserialize<'de> for LabelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Row::deserialize(deserializer)? {
            Row::One(scalar) => Ok(Self::One(scalar)),
            Row::Several(items) => from_items(items),
        }
    }
}

/// A scalar or a list of `T`.
enum Row<T> {
    One(Scalar),
    Several(Vec<T>),
}

fn from_items<E: de::Error>(items: Vec<Row<f64>>) -> Result<LabelValue, E> {
    let mixed = || E::custom("a label is a list of values or a list of lists, found both");
    match items.first() {
        None => Err(E::custom("a label has no rows")),
        Some(Row::One(_)) => {
            let rows = items.into_iter().map(|item| match item {
                Row::One(scalar) => Ok(scalar),
                Row::Several(_) => Err(mixed()),
            });
            rows.collect::<Result<_, _>>().map(LabelValue::Rows)
        }
        Some(Row::Several(_)) => {
            let rows = items.into_iter().map(|item| match item {
                Row::Several(targets) => Ok(targets),
                Row::One(_) => Err(mixed()),
            });
            rows.collect::<Result<_, _>>().map(LabelValue::Targets)
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Row<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowVisitor(std::marker::PhantomData))
    }
}

struct RowVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for RowVisitor<T> {
    type Value = Row<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, a number, a boolean or a list of them")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Row<T>, E> {
        ScalarVisitor.visit_bool(value).map(Row::One)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Row<T>, E> {
        ScalarVisitor.visit_i64(value).map(Row::One)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Row<T>, E> {
        ScalarVisitor.visit_u64(value).map(Row::One)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Row<T>, E> {
        ScalarVisitor.visit_f64(value).map(Row::One)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Row<T>, E> {
        ScalarVisitor.visit_str(value).map(Row::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Row<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == limits::ROWS_MAX {
                return Err(de::Error::custom(format!("a label has more than {} rows", limits::ROWS_MAX)));
            }
            items.push(item);
        }
        Ok(Row::Several(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<LabelValue, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_label_is_a_value_or_a_list_or_a_list_of_lists() {
        assert_eq!(read("\"7\"").unwrap(), LabelValue::One(Scalar::Text("7".to_owned())));
        assert_eq!(read("7").unwrap(), LabelValue::One(Scalar::Integer(7)));
        assert_eq!(read("true").unwrap(), LabelValue::One(Scalar::Bool(true)));
        assert_eq!(
            read("[1, 2.5]").unwrap(),
            LabelValue::Rows(vec![Scalar::Integer(1), Scalar::Number(2.5)])
        );
        assert_eq!(read("[[1, 2.5]]").unwrap(), LabelValue::Targets(vec![vec![1.0, 2.5]]));
    }

    #[test]
    fn refuses_what_could_mean_nothing() {
        for bad in ["null", "[]", "{}", "[1, [2]]", "[[1], 2]", "[[\"a\"]]", "[[[1]]]"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
