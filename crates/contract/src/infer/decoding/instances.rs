//! The rows of the short form: all arrays of one shape, or all objects with the same columns.

use std::{collections::HashMap, fmt};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{
    super::Instances,
    admission::{Admission, Budget},
    array::Flattened,
    bounded::too_many,
};
use crate::{Error, Scalar, limits};

pub(super) struct InstancesSeed<'admission>(pub(super) &'admission Admission);

impl<'de> DeserializeSeed<'de> for InstancesSeed<'_> {
    type Value = Instances;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Instances, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for InstancesSeed<'_> {
    type Value = Instances;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Instances, A::Error> {
        let admission = self.0;
        let mut arrays = Flattened::new(admission, Budget::Numbers);
        let mut table = Table::default();
        let mut rows = 0;
        while list.next_element_seed(RowSeed { admission, arrays: &mut arrays, table: &mut table })?.is_some()
        {
            rows += 1;
            if rows > limits::ROWS_MAX {
                return Err(admission.refuse(too_many("number of rows", limits::ROWS_MAX)));
            }
        }
        if table.rows > 0 {
            let Table { columns, cells, .. } = table;
            return Ok(Instances::Table { columns, cells });
        }
        if rows == 0 {
            return Err(admission.refuse(Error::invalid("instances", "there are no rows")));
        }
        arrays.end_array(1, rows)?;
        let (values, shape) = arrays.finish()?;
        Ok(Instances::Rows { shape, values })
    }
}

struct RowSeed<'rows, 'admission> {
    admission: &'admission Admission,
    arrays: &'rows mut Flattened<'admission, f32>,
    table: &'rows mut Table,
}

impl RowSeed<'_, '_> {
    fn refuse<E: de::Error>(&self, reason: &str) -> E {
        self.admission.refuse(Error::invalid("instances", reason))
    }

    fn refuse_value<E: de::Error>(&self) -> E {
        self.refuse("expected rows such as [[1, 2], [3, 4]] or [{\"age\": 41}], found a single value in place of a row")
    }
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row: an array of numbers or an object of named columns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<(), A::Error> {
        if self.table.rows > 0 {
            return Err(self.refuse("rows are all arrays or all objects, found both"));
        }
        self.arrays.array(array, 2)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        if !self.arrays.values.is_empty() {
            return Err(self.refuse("rows are all arrays or all objects, found both"));
        }
        self.table.read_row(map, self.admission)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Err(self.refuse_value())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Err(self.refuse_value())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Err(self.refuse_value())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Err(self.refuse_value())
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Err(self.refuse_value())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Err(self.refuse_value())
    }
}

/// Rows with named columns. The first row says which.
#[derive(Default)]
struct Table {
    columns: Vec<String>,
    places: HashMap<String, usize>,
    cells: Vec<Option<Scalar>>,
    rows: usize,
}

impl Table {
    fn read_row<'de, A: MapAccess<'de>>(&mut self, map: A, admission: &Admission) -> Result<(), A::Error> {
        let begin = self.cells.len();
        if self.rows == 0 {
            self.read_first(map, admission)?;
        } else {
            self.read_next(map, admission)?;
        }
        admission.take(Budget::Texts, self.cells.len() - begin)?;
        self.rows += 1;
        Ok(())
    }

    fn read_first<'de, A: MapAccess<'de>>(
        &mut self,
        mut map: A,
        admission: &Admission,
    ) -> Result<(), A::Error> {
        while let Some((column, cell)) = map.next_entry::<String, Option<Scalar>>()? {
            if self.columns.len() == limits::COLUMNS_MAX {
                return Err(admission.refuse(too_many("number of columns", limits::COLUMNS_MAX)));
            }
            if self.places.insert(column.clone(), self.columns.len()).is_some() {
                return Err(refuse_column(admission, &column, "stands twice in a row"));
            }
            self.columns.push(column);
            self.cells.push(cell);
        }
        if self.columns.is_empty() {
            return Err(admission.refuse(Error::invalid("instances", "a row has no columns")));
        }
        Ok(())
    }

    fn read_next<'de, A: MapAccess<'de>>(
        &mut self,
        mut map: A,
        admission: &Admission,
    ) -> Result<(), A::Error> {
        let begin = self.cells.len();
        self.cells.resize(begin + self.columns.len(), None);
        let mut is_set = vec![false; self.columns.len()];
        while let Some(place) = map.next_key_seed(PlaceSeed { table: &*self, admission })? {
            let cell = map.next_value()?;
            if let Some(is_set) = is_set.get_mut(place)
                && std::mem::replace(is_set, true)
            {
                let column = self.columns.get(place).map(String::as_str).unwrap_or_default();
                return Err(refuse_column(admission, column, "stands twice in a row"));
            }
            if let Some(target) = self.cells.get_mut(begin + place) {
                *target = cell;
            }
        }
        let absent = is_set.iter().position(|is_set| !is_set).and_then(|place| self.columns.get(place));
        match absent {
            Some(column) => {
                Err(refuse_column(admission, column, "is absent in a row; null stands for a missing value"))
            }
            None => Ok(()),
        }
    }
}

fn refuse_column<E: de::Error>(admission: &Admission, column: &str, reason: &str) -> E {
    let column: String = column.chars().take(64).collect();
    admission.refuse(Error::invalid("instances", format!("column {column:?} {reason}")))
}

/// The place of a column by its name.
struct PlaceSeed<'table> {
    table: &'table Table,
    admission: &'table Admission,
}

impl<'de> DeserializeSeed<'de> for PlaceSeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PlaceSeed<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a column")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<usize, E> {
        let place = self.table.places.get(name).copied();
        place.ok_or_else(|| refuse_column(self.admission, name, "is not in the first row"))
    }
}
