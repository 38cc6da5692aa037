//! One value of a field table or array.
//!
//! The tags are those that RabbitMQ and its clients use, which differ from the standard's text in
//! the integers.

use std::hash::{Hash, Hasher};

use bytes::Bytes;

use super::FieldTable;
use crate::limits::TABLE_DEPTH_MAX;
use crate::wire::cursor::{Cursor, put_length_prefixed, put_long_bytes};
use crate::wire::error::WireError;

/// A value with its type. Two floats are equal when their bits are.
#[derive(Clone, Debug)]
pub enum FieldValue {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `L`, which means the same as `l` and is only kept apart to be written as it was read.
    LongLong(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`
    Decimal(Decimal),
    /// `S`: bytes of any encoding.
    LongString(Bytes),
    /// `A`
    Array(Vec<FieldValue>),
    /// `T`: seconds since 1970.
    Timestamp(u64),
    /// `F`
    Table(FieldTable),
    /// `V`
    Void,
    /// `x`
    ByteArray(Bytes),
}

/// A decimal number: `value` divided by ten to the power of `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// How many digits are behind the point.
    pub scale: u8,
    /// All digits.
    pub value: u32,
}

impl FieldValue {
    /// The value of any of the integer types.
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::U8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::I64(value) | Self::LongLong(value) => Some(value),
            _ => None,
        }
    }

    /// The value of any of the numeric types; of an integer that is too large for 32 bits, the nearest one that is not.
    pub fn as_number(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            Self::Decimal(Decimal { scale, value }) => {
                Some(f64::from(value) / 10_f64.powi(scale.into()))
            }
            _ => {
                let integer = self.as_integer()?;
                let nearest = integer.clamp(i32::MIN.into(), i32::MAX.into());
                i32::try_from(nearest).ok().map(f64::from)
            }
        }
    }

    /// A long string that is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::LongString(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// A table.
    pub fn as_table(&self) -> Option<&FieldTable> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// An array's elements.
    pub fn as_array(&self) -> Option<&[FieldValue]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The type's name in RabbitMQ's reply texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::I8(_) => "byte",
            Self::U8(_) => "unsignedbyte",
            Self::I16(_) => "short",
            Self::U16(_) => "unsignedshort",
            Self::I32(_) => "signedint",
            Self::U32(_) => "unsignedint",
            Self::I64(_) | Self::LongLong(_) => "long",
            Self::F32(_) => "float",
            Self::F64(_) => "double",
            Self::Decimal(_) => "decimal",
            Self::LongString(_) => "longstr",
            Self::Array(_) => "array",
            Self::Timestamp(_) => "timestamp",
            Self::Table(_) => "table",
            Self::Void => "void",
            Self::ByteArray(_) => "binary",
        }
    }

    /// The octet that stands before the value.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Bool(_) => b't',
            Self::I8(_) => b'b',
            Self::U8(_) => b'B',
            Self::I16(_) => b's',
            Self::U16(_) => b'u',
            Self::I32(_) => b'I',
            Self::U32(_) => b'i',
            Self::I64(_) => b'l',
            Self::LongLong(_) => b'L',
            Self::F32(_) => b'f',
            Self::F64(_) => b'd',
            Self::Decimal(_) => b'D',
            Self::LongString(_) => b'S',
            Self::Array(_) => b'A',
            Self::Timestamp(_) => b'T',
            Self::Table(_) => b'F',
            Self::Void => b'V',
            Self::ByteArray(_) => b'x',
        }
    }

    /// Decodes a value with its tag, which must be all that there is.
    ///
    /// # Errors
    /// Any [`WireError`] that is about values.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor::new(bytes);
        let value = Self::read(&mut cursor, TABLE_DEPTH_MAX)?;
        cursor.finish()?;
        Ok(value)
    }

    pub(super) fn read(from: &mut Cursor<'_>, depth_left: usize) -> Result<Self, WireError> {
        Ok(match from.u8()? {
            b't' => Self::Bool(from.u8()? != 0),
            b'b' => Self::I8(from.u8()?.cast_signed()),
            b'B' => Self::U8(from.u8()?),
            b's' => Self::I16(from.u16()?.cast_signed()),
            b'u' => Self::U16(from.u16()?),
            b'I' => Self::I32(from.u32()?.cast_signed()),
            b'i' => Self::U32(from.u32()?),
            b'l' => Self::I64(from.u64()?.cast_signed()),
            b'L' => Self::LongLong(from.u64()?.cast_signed()),
            b'f' => Self::F32(f32::from_bits(from.u32()?)),
            b'd' => Self::F64(f64::from_bits(from.u64()?)),
            b'D' => Self::Decimal(Decimal {
                scale: from.u8()?,
                value: from.u32()?,
            }),
            b'S' => Self::LongString(Bytes::copy_from_slice(from.long_bytes()?)),
            b'A' => Self::Array(Self::read_array(from, depth_left)?),
            b'T' => Self::Timestamp(from.u64()?),
            b'F' => Self::Table(FieldTable::read(from, depth_left)?),
            b'V' => Self::Void,
            b'x' => Self::ByteArray(Bytes::copy_from_slice(from.long_bytes()?)),
            unknown => return Err(WireError::UnknownFieldType(unknown)),
        })
    }

    fn read_array(from: &mut Cursor<'_>, depth_left: usize) -> Result<Vec<Self>, WireError> {
        let depth_left = depth_left.checked_sub(1).ok_or(WireError::TooDeep)?;
        let mut inside = Cursor::new(from.long_bytes()?);
        let mut values = Vec::new();
        while !inside.is_empty() {
            values.push(Self::read(&mut inside, depth_left)?);
        }
        Ok(values)
    }

    /// Reads past a value and checks it, without allocating.
    #[inline]
    pub(super) fn skip(from: &mut Cursor<'_>, depth_left: usize) -> Result<(), WireError> {
        let width = match from.u8()? {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'l' | b'L' | b'd' | b'T' => 8,
            b'S' | b'x' => return from.long_bytes().map(drop),
            b'A' => return Self::skip_array(from, depth_left),
            b'F' => return FieldTable::skip(from, depth_left),
            unknown => return Err(WireError::UnknownFieldType(unknown)),
        };
        from.take(width).map(drop)
    }

    fn skip_array(from: &mut Cursor<'_>, depth_left: usize) -> Result<(), WireError> {
        let depth_left = depth_left.checked_sub(1).ok_or(WireError::TooDeep)?;
        let mut inside = Cursor::new(from.long_bytes()?);
        while !inside.is_empty() {
            Self::skip(&mut inside, depth_left)?;
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Self::Void => {}
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::I8(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::U8(value) => out.push(*value),
            Self::I16(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::U16(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::I32(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::U32(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::I64(value) | Self::LongLong(value) => out.extend_from_slice(&value.to_be_bytes()),
            Self::F32(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
            Self::F64(value) => out.extend_from_slice(&value.to_bits().to_be_bytes()),
            Self::Decimal(Decimal { scale, value }) => {
                out.push(*scale);
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::LongString(bytes) | Self::ByteArray(bytes) => put_long_bytes(bytes, out),
            Self::Timestamp(seconds) => out.extend_from_slice(&seconds.to_be_bytes()),
            Self::Table(table) => table.encode(out),
            Self::Array(values) => put_length_prefixed(out, |out| {
                for value in values {
                    value.write(out);
                }
            }),
        }
    }
}

impl PartialEq for FieldValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Void, Self::Void) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::I8(a), Self::I8(b)) => a == b,
            (Self::U8(a), Self::U8(b)) => a == b,
            (Self::I16(a), Self::I16(b)) => a == b,
            (Self::U16(a), Self::U16(b)) => a == b,
            (Self::I32(a), Self::I32(b)) => a == b,
            (Self::U32(a), Self::U32(b)) => a == b,
            (Self::I64(a), Self::I64(b)) | (Self::LongLong(a), Self::LongLong(b)) => a == b,
            (Self::F32(a), Self::F32(b)) => a.to_bits() == b.to_bits(),
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::LongString(a), Self::LongString(b))
            | (Self::ByteArray(a), Self::ByteArray(b)) => a == b,
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Table(a), Self::Table(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for FieldValue {}

impl Hash for FieldValue {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag().hash(state);
        match self {
            Self::Void => {}
            Self::Bool(value) => value.hash(state),
            Self::I8(value) => value.hash(state),
            Self::U8(value) => value.hash(state),
            Self::I16(value) => value.hash(state),
            Self::U16(value) => value.hash(state),
            Self::I32(value) => value.hash(state),
            Self::U32(value) => value.hash(state),
            Self::I64(value) | Self::LongLong(value) => value.hash(state),
            Self::F32(value) => value.to_bits().hash(state),
            Self::F64(value) => value.to_bits().hash(state),
            Self::Decimal(value) => value.hash(state),
            Self::LongString(bytes) | Self::ByteArray(bytes) => bytes.hash(state),
            Self::Array(values) => values.hash(state),
            Self::Timestamp(seconds) => seconds.hash(state),
            Self::Table(table) => table.hash(state),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident,)*) => {
        $(impl From<$type> for FieldValue {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        })*
    };
}

from! {
    bool => Bool,
    i8 => I8,
    u8 => U8,
    i16 => I16,
    u16 => U16,
    i32 => I32,
    u32 => U32,
    i64 => I64,
    f32 => F32,
    f64 => F64,
    Decimal => Decimal,
    Bytes => LongString,
    Vec<FieldValue> => Array,
    FieldTable => Table,
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::LongString(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self::LongString(text.into())
    }
}
