//! Arrays, flat or nested, into one row-major vector.

use std::{fmt, marker::PhantomData};

use serde::de::{self, DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::{
    super::element::{Element, Mismatch},
    admission::{Admission, Budget},
};
use crate::{Error, limits::DIMENSIONS_MAX};

/// How many elements are expected of an array that does not say how many it has.
const UNDECLARED: usize = 64;
/// How many elements a declared length may reserve before they are seen.
const RESERVED_MAX: usize = 64 * 1024;

/// Values met so far and the lengths of the arrays they stood in.
pub(super) struct Flattened<'admission, T> {
    pub(super) values: Vec<T>,
    admission: &'admission Admission,
    budget: Budget,
    /// Values that may stand here before the budget is exhausted.
    room: usize,
    /// The length of arrays at each depth, 0 before the first one ended.
    lengths: [usize; DIMENSIONS_MAX],
    /// The depth at which values stand, 0 before the first one.
    leaf_depth: usize,
}

impl<'admission, T: Element> Flattened<'admission, T> {
    pub(super) fn new(admission: &'admission Admission, budget: Budget) -> Self {
        let room = admission.left(budget);
        Self { values: Vec::new(), admission, budget, room, lengths: [0; DIMENSIONS_MAX], leaf_depth: 0 }
    }

    /// Reads the rest of an array whose elements stand at this depth (1 for the outermost array).
    pub(super) fn array<'de, A: SeqAccess<'de>>(
        &mut self,
        mut array: A,
        depth: usize,
    ) -> Result<(), A::Error> {
        if depth > DIMENSIONS_MAX {
            let (found, limit) = (depth as u64, DIMENSIONS_MAX as u64);
            return Err(self.admission.refuse(Error::TooLarge {
                what: "number of dimensions",
                found,
                limit,
            }));
        }
        if depth == self.leaf_depth.max(1) {
            let declared = array.size_hint().unwrap_or(UNDECLARED);
            self.values.reserve(declared.min(RESERVED_MAX).min(self.room.saturating_sub(self.values.len())));
        }
        let mut length = 0;
        while array.next_element_seed(ItemSeed { flattened: &mut *self, depth })?.is_some() {
            length += 1;
        }
        self.end_array(depth, length)
    }

    /// Compares the length of an array with that of the others at its depth.
    pub(super) fn end_array<E: de::Error>(&mut self, depth: usize, length: usize) -> Result<(), E> {
        if length == 0 {
            return Err(self.invalid("an array is empty"));
        }
        let Some(known) = self.lengths.get_mut(depth - 1) else { return Ok(()) };
        if *known == 0 {
            *known = length;
        }
        let known = *known;
        if known == length {
            return Ok(());
        }
        Err(self
            .invalid(format!("the arrays are ragged: one has {length} elements where another has {known}")))
    }

    /// Takes the values from the budget and gives the lengths of the arrays, outermost first.
    pub(super) fn finish<E: de::Error>(self) -> Result<(Vec<T>, Vec<usize>), E> {
        self.admission.take(self.budget, self.values.len())?;
        let shape = self.lengths.into_iter().take(self.leaf_depth).collect();
        Ok((self.values, shape))
    }

    #[inline]
    fn push<E: de::Error>(&mut self, depth: usize, value: Result<T, Mismatch>) -> Result<(), E> {
        if self.leaf_depth != depth {
            if self.leaf_depth != 0 || self.lengths.get(depth).is_some_and(|length| *length != 0) {
                return Err(self.invalid("the arrays are ragged: a value stands where others have an array"));
            }
            self.leaf_depth = depth;
        }
        if self.values.len() >= self.room {
            // More than is left: the refusal with the right limit.
            return self.admission.take(self.budget, self.room.saturating_add(1));
        }
        let value =
            value.map_err(|found| self.invalid::<E>(format!("expected {}, found {found}", T::NAME)))?;
        self.values.push(value);
        Ok(())
    }

    pub(super) fn invalid<E: de::Error>(&self, reason: impl Into<String>) -> E {
        self.admission.refuse(Error::invalid("data", reason))
    }
}

/// One element of an array: a value or a further array.
pub(super) struct ItemSeed<'flattened, 'admission, T> {
    pub(super) flattened: &'flattened mut Flattened<'admission, T>,
    pub(super) depth: usize,
}

impl<'de, T: Element> DeserializeSeed<'de> for ItemSeed<'_, '_, T> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element> Visitor<'de> for ItemSeed<'_, '_, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} or an array", T::NAME)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.flattened.push(self.depth, T::from_bool(value))
    }

    #[inline]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.flattened.push(self.depth, T::from_signed(value))
    }

    #[inline]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.flattened.push(self.depth, T::from_unsigned(value))
    }

    #[inline]
    fn visit_f32<E: de::Error>(self, value: f32) -> Result<(), E> {
        self.flattened.push(self.depth, T::from_single(value))
    }

    #[inline]
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.flattened.push(self.depth, T::from_double(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.flattened.push(self.depth, T::from_text(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.flattened.push(self.depth, T::missing())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<(), A::Error> {
        let values_stand_here = self.flattened.leaf_depth != 0 && self.depth >= self.flattened.leaf_depth;
        if values_stand_here {
            return Err(self
                .flattened
                .invalid("the arrays are ragged: an array stands where others have a value"));
        }
        self.flattened.array(array, self.depth + 1)
    }
}

/// Elements that were read, and the shape their arrays had when they were not flat.
pub(super) struct Elements<T> {
    pub(super) values: Vec<T>,
    pub(super) nested: Vec<usize>,
}

/// The `data` of a tensor: an array, or bytes that are handed to a function.
pub(super) struct DataSeed<'admission, T, F> {
    admission: &'admission Admission,
    budget: Budget,
    from_bytes: F,
    element: PhantomData<T>,
}

impl<'admission, T, F> DataSeed<'admission, T, F> {
    pub(super) fn new(admission: &'admission Admission, budget: Budget, from_bytes: F) -> Self {
        Self { admission, budget, from_bytes, element: PhantomData }
    }
}

/// What `data` was.
pub(super) enum Data<T, B> {
    Array(Elements<T>),
    Bytes(B),
}

impl<'de, T: Element, B, F: FnOnce(&[u8]) -> Result<B, Error>> DeserializeSeed<'de> for DataSeed<'_, T, F> {
    type Value = Data<T, B>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Element, B, F: FnOnce(&[u8]) -> Result<B, Error>> Visitor<'de> for DataSeed<'_, T, F> {
    type Value = Data<T, B>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of values, or in MessagePack bin")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, array: A) -> Result<Self::Value, A::Error> {
        let mut flattened = Flattened::new(self.admission, self.budget);
        flattened.array(array, 1)?;
        let (values, nested) = flattened.finish()?;
        Ok(Data::Array(Elements { values, nested }))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        (self.from_bytes)(bytes).map(Data::Bytes).map_err(|error| self.admission.refuse(error))
    }
}
