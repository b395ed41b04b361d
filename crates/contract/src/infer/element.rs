//! What one element of a tensor can be made from. Values that would change are refused, never rounded into range.

/// Why a value cannot be an element, in words that follow "expected FP32, found …".
pub(super) type Mismatch = String;

/// An element type as the decoder sees it.
pub(super) trait Element: Sized {
    /// What the type is called in messages.
    const NAME: &'static str;

    fn from_unsigned(value: u64) -> Result<Self, Mismatch>;
    fn from_signed(value: i64) -> Result<Self, Mismatch>;

    fn from_double(value: f64) -> Result<Self, Mismatch> {
        Err(format!("the number {value:?}"))
    }

    fn from_single(value: f32) -> Result<Self, Mismatch> {
        Self::from_double(f64::from(value))
    }

    fn from_bool(value: bool) -> Result<Self, Mismatch> {
        Err(format!("the boolean {value}"))
    }

    fn from_text(value: &str) -> Result<Self, Mismatch> {
        Err(format!("the string {:?}", value.chars().take(32).collect::<String>()))
    }

    fn missing() -> Result<Self, Mismatch> {
        Err("null".to_owned())
    }
}

/// Elements with a `bin` form: little-endian, row-major, no padding.
pub(super) trait Binary: Element {
    /// Bytes of one element.
    const BYTES: usize;

    /// The elements in a whole number of times [`Binary::BYTES`] bytes; a rest is passed over.
    fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>, Mismatch>;

    fn to_bytes(values: &[Self]) -> Vec<u8>;
}

macro_rules! integer_element {
    ($type:ty, $name:literal) => {
        impl Element for $type {
            const NAME: &'static str = $name;

            fn from_unsigned(value: u64) -> Result<Self, Mismatch> {
                Self::try_from(value).map_err(|_| format!("the number {value}"))
            }

            fn from_signed(value: i64) -> Result<Self, Mismatch> {
                Self::try_from(value).map_err(|_| format!("the number {value}"))
            }
        }

        binary_number!($type);
    };
}

/// `from_le_bytes` is an inherent function of each type, hence the macro.
macro_rules! binary_number {
    ($type:ty) => {
        impl Binary for $type {
            const BYTES: usize = size_of::<$type>();

            fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>, Mismatch> {
                let (elements, _) = bytes.as_chunks();
                Ok(elements.iter().map(|element| Self::from_le_bytes(*element)).collect())
            }

            fn to_bytes(values: &[Self]) -> Vec<u8> {
                let mut bytes = Vec::with_capacity(values.len() * Self::BYTES);
                values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
                bytes
            }
        }
    };
}

integer_element!(u8, "UINT8");
integer_element!(u16, "UINT16");
integer_element!(u32, "UINT32");
integer_element!(u64, "UINT64");
integer_element!(i8, "INT8");
integer_element!(i16, "INT16");
integer_element!(i32, "INT32");
integer_element!(i64, "INT64");

impl Element for f32 {
    const NAME: &'static str = "FP32";

    fn from_unsigned(value: u64) -> Result<Self, Mismatch> {
        Ok(value as Self)
    }

    fn from_signed(value: i64) -> Result<Self, Mismatch> {
        Ok(value as Self)
    }

    #[inline]
    fn from_double(value: f64) -> Result<Self, Mismatch> {
        let narrow = value as Self;
        let has_overflowed = narrow.is_infinite() && value.is_finite();
        if has_overflowed { Err(format!("the number {value:e}")) } else { Ok(narrow) }
    }

    #[inline]
    fn from_single(value: f32) -> Result<Self, Mismatch> {
        Ok(value)
    }

    fn missing() -> Result<Self, Mismatch> {
        Ok(Self::NAN)
    }
}

binary_number!(f32);

impl Element for f64 {
    const NAME: &'static str = "FP64";

    fn from_unsigned(value: u64) -> Result<Self, Mismatch> {
        Ok(value as Self)
    }

    fn from_signed(value: i64) -> Result<Self, Mismatch> {
        Ok(value as Self)
    }

    #[inline]
    fn from_double(value: f64) -> Result<Self, Mismatch> {
        Ok(value)
    }

    fn missing() -> Result<Self, Mismatch> {
        Ok(Self::NAN)
    }
}

binary_number!(f64);

impl Element for bool {
    const NAME: &'static str = "BOOL";

    fn from_unsigned(value: u64) -> Result<Self, Mismatch> {
        Err(format!("the number {value}"))
    }

    fn from_signed(value: i64) -> Result<Self, Mismatch> {
        Err(format!("the number {value}"))
    }

    fn from_bool(value: bool) -> Result<Self, Mismatch> {
        Ok(value)
    }
}

impl Binary for bool {
    const BYTES: usize = 1;

    fn from_bytes(bytes: &[u8]) -> Result<Vec<Self>, Mismatch> {
        let element = |byte: &u8| match byte {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("the byte {other}")),
        };
        bytes.iter().map(element).collect()
    }

    fn to_bytes(values: &[Self]) -> Vec<u8> {
        values.iter().copied().map(u8::from).collect()
    }
}

impl Element for String {
    const NAME: &'static str = "BYTES";

    fn from_unsigned(value: u64) -> Result<Self, Mismatch> {
        Err(format!("the number {value}"))
    }

    fn from_signed(value: i64) -> Result<Self, Mismatch> {
        Err(format!("the number {value}"))
    }

    fn from_text(value: &str) -> Result<Self, Mismatch> {
        Ok(value.to_owned())
    }
}

/// A value read before its datatype was known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Untyped {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
    Single(f32),
    Bool(bool),
    Text(String),
    Missing,
}

impl Untyped {
    /// The element it would have been, had the datatype come first.
    pub(super) fn typed<T: Element>(self) -> Result<T, Mismatch> {
        match self {
            Self::Unsigned(value) => T::from_unsigned(value),
            Self::Signed(value) => T::from_signed(value),
            Self::Double(value) => T::from_double(value),
            Self::Single(value) => T::from_single(value),
            Self::Bool(value) => T::from_bool(value),
            Self::Text(value) => T::from_text(&value),
            Self::Missing => T::missing(),
        }
    }
}

impl Element for Untyped {
    const NAME: &'static str = "a value";

    fn from_unsigned(value: u64) -> Result<Self, Mismatch> {
        Ok(Self::Unsigned(value))
    }

    fn from_signed(value: i64) -> Result<Self, Mismatch> {
        Ok(Self::Signed(value))
    }

    fn from_double(value: f64) -> Result<Self, Mismatch> {
        Ok(Self::Double(value))
    }

    fn from_single(value: f32) -> Result<Self, Mismatch> {
        Ok(Self::Single(value))
    }

    fn from_bool(value: bool) -> Result<Self, Mismatch> {
        Ok(Self::Bool(value))
    }

    fn from_text(value: &str) -> Result<Self, Mismatch> {
        Ok(Self::Text(value.to_owned()))
    }

    fn missing() -> Result<Self, Mismatch> {
        Ok(Self::Missing)
    }
}
