//! Field values where they lie.

use super::cursor::{Cursor, Damage};
use crate::value::Value;

/// Arrays and tables within each other, at most: more than the broker lets pass.
const DEPTH_MAX: usize = 64;

/// A field value of AMQP 0-9-1, borrowed from the message. The widths of numbers are not kept.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// Nothing: type octet `V`.
    Void,
    /// Type octet `t`.
    Boolean(bool),
    /// Type octets `b`, `s`, `I`, `l` and `L`.
    Signed(i64),
    /// Type octets `B`, `u` and `i`.
    Unsigned(u64),
    /// Type octets `f` and `d`.
    Float(f64),
    /// Type octet `D`: the number of decimal places, and the number without its point.
    Decimal(u8, i32),
    /// Type octet `S`, if it is UTF-8.
    Text(&'a str),
    /// Type octet `x`, and `S` if it is not UTF-8.
    Bytes(&'a [u8]),
    /// Type octet `T`: seconds since 1970-01-01T00:00Z.
    Timestamp(u64),
    /// Type octet `A`.
    Array(Elements<'a>),
    /// Type octet `F`.
    Table(Fields<'a>),
}

impl<'a> ValueRef<'a> {
    #[inline]
    pub(super) fn read(from: &mut Cursor<'a>) -> Result<Self, Damage> {
        Ok(match from.octet()? {
            b'V' => Self::Void,
            b't' => Self::Boolean(from.octet()? != 0),
            b'b' => Self::Signed(i8::from_be_bytes(from.array()?).into()),
            b's' => Self::Signed(i16::from_be_bytes(from.array()?).into()),
            b'I' => Self::Signed(i32::from_be_bytes(from.array()?).into()),
            b'l' | b'L' => Self::Signed(i64::from_be_bytes(from.array()?)),
            b'B' => Self::Unsigned(from.octet()?.into()),
            b'u' => Self::Unsigned(u16::from_be_bytes(from.array()?).into()),
            b'i' => Self::Unsigned(u32::from_be_bytes(from.array()?).into()),
            b'f' => Self::Float(f32::from_be_bytes(from.array()?).into()),
            b'd' => Self::Float(f64::from_be_bytes(from.array()?)),
            b'D' => Self::Decimal(from.octet()?, i32::from_be_bytes(from.array()?)),
            b'S' => {
                let bytes = from.long_big()?;
                std::str::from_utf8(bytes).map_or(Self::Bytes(bytes), Self::Text)
            }
            b'x' => Self::Bytes(from.long_big()?),
            b'T' => Self::Timestamp(u64::from_be_bytes(from.array()?)),
            b'A' => Self::Array(Elements(Cursor::new(from.long_big()?))),
            b'F' => Self::Table(Fields(Cursor::new(from.long_big()?))),
            unknown => return Err(Damage::UnknownType(unknown)),
        })
    }

    /// A text.
    pub fn as_str(&self) -> Option<&'a str> {
        match *self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number of any type that fits.
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::Signed(number) => Some(number),
            Self::Unsigned(number) => i64::try_from(number).ok(),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// A copy that the plugin owns.
    pub fn to_value(self) -> Value {
        match self {
            Self::Void => Value::Void,
            Self::Boolean(value) => Value::Boolean(value),
            Self::Signed(value) => Value::Signed(value),
            Self::Unsigned(value) => Value::Unsigned(value),
            Self::Float(value) => Value::Float(value),
            Self::Decimal(scale, value) => Value::Decimal(scale, value),
            Self::Text(text) => Value::Text(text.to_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_owned()),
            Self::Timestamp(seconds) => Value::Timestamp(seconds),
            Self::Array(elements) => {
                Value::Array(elements.into_iter().map(Self::to_value).collect())
            }
            Self::Table(fields) => {
                let fields = fields.into_iter();
                let fields = fields.map(|(name, value)| (name, value.to_value()));
                Value::Table(fields.collect())
            }
        }
    }
}

/// The elements of an array, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a>(Cursor<'a>);

impl<'a> IntoIterator for Elements<'a> {
    type Item = ValueRef<'a>;
    type IntoIter = ElementsIter<'a>;

    fn into_iter(self) -> ElementsIter<'a> {
        ElementsIter(self.0)
    }
}

/// Goes through [`Elements`].
#[derive(Clone, Debug)]
pub struct ElementsIter<'a>(Cursor<'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        // The array was checked along with the message, so only its end makes this fail.
        ValueRef::read(&mut self.0).ok()
    }
}

/// The fields of a table, in their order. A name can be there several times; the first one counts. A field whose name is not
/// UTF-8, as AMQP demands, is passed over.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(Cursor<'a>);

impl<'a> Fields<'a> {
    /// The fields of a table that was checked.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Cursor::new(bytes))
    }

    /// The value of the first field with this name.
    pub fn get(&self, name: &str) -> Option<ValueRef<'a>> {
        let mut inside = self.0;
        loop {
            if inside.short().ok()? == name.as_bytes() {
                return ValueRef::read(&mut inside).ok();
            }
            skip(&mut inside, DEPTH_MAX).ok()?;
        }
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (&'a str, ValueRef<'a>);
    type IntoIter = FieldsIter<'a>;

    fn into_iter(self) -> FieldsIter<'a> {
        FieldsIter(self.0)
    }
}

/// Goes through [`Fields`].
#[derive(Clone, Debug)]
pub struct FieldsIter<'a>(Cursor<'a>);

impl<'a> FieldsIter<'a> {
    fn field(&mut self) -> Result<(&'a [u8], ValueRef<'a>), Damage> {
        Ok((self.0.short()?, ValueRef::read(&mut self.0)?))
    }
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // The table was checked along with the message, so only its end makes this fail.
            let (name, value) = self.field().ok()?;
            if let Ok(name) = std::str::from_utf8(name) {
                return Some((name, value));
            }
        }
    }
}

/// Checks a value, and passes over it.
#[inline]
pub(super) fn check(from: &mut Cursor<'_>) -> Result<(), Damage> {
    // Most are texts.
    if let Some((b'S', text)) = from.rest().split_first() {
        *from = Cursor::new(text);
        return from.long_big().map(drop);
    }
    skip(from, DEPTH_MAX)
}

/// Checks the fields of a table that is given without its length.
pub(super) fn check_fields(bytes: &[u8]) -> Result<(), Damage> {
    skip_fields(Cursor::new(bytes), DEPTH_MAX)
}

fn skip(from: &mut Cursor<'_>, depth_left: usize) -> Result<(), Damage> {
    let width = match from.octet()? {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' => return from.long_big().map(drop),
        b'A' => {
            let depth_left = depth_left.checked_sub(1).ok_or(Damage::TooDeep)?;
            let mut inside = Cursor::new(from.long_big()?);
            while !inside.is_empty() {
                skip(&mut inside, depth_left)?;
            }
            return Ok(());
        }
        b'F' => {
            let depth_left = depth_left.checked_sub(1).ok_or(Damage::TooDeep)?;
            return skip_fields(Cursor::new(from.long_big()?), depth_left);
        }
        unknown => return Err(Damage::UnknownType(unknown)),
    };
    from.take(width).map(drop)
}

fn skip_fields(mut inside: Cursor<'_>, depth_left: usize) -> Result<(), Damage> {
    while !inside.is_empty() {
        inside.short()?;
        skip(&mut inside, depth_left)?;
    }
    Ok(())
}
