//! Field tables: arguments, headers and peer properties (spec 4.2.5.5, with the types that RabbitMQ
//! gives them).
//!
//! What was decoded is encoded to the same bytes again: order, duplicate keys and the tag of each
//! value are kept. The one exception is a boolean of another octet than 0 and 1, which becomes 1.

mod raw;
mod value;

use super::cursor::{Cursor, put_length_prefixed, put_short_string};
use super::error::WireError;
use super::types::ShortString;
use crate::limits::TABLE_DEPTH_MAX;

pub use raw::RawFields;
pub use value::{Decimal, FieldValue};

/// Names and values, in the order of the wire. A name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldTable {
    fields: Vec<(ShortString, FieldValue)>,
}

impl FieldTable {
    /// A table without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of the first field with this name. Takes time in proportion to the number of
    /// fields.
    pub fn get(&self, name: &str) -> Option<&FieldValue> {
        self.fields
            .iter()
            .find(|(known, _)| known.as_str() == name)
            .map(|(_, value)| value)
    }

    /// Sets the first field with this name, or adds it at the end. Returns what it was before.
    pub fn insert(
        &mut self,
        name: ShortString,
        value: impl Into<FieldValue>,
    ) -> Option<FieldValue> {
        let value = value.into();
        if let Some((_, known)) = self.fields.iter_mut().find(|(known, _)| *known == name) {
            return Some(std::mem::replace(known, value));
        }
        self.fields.push((name, value));
        None
    }

    /// Adds a field at the end, whether or not there is one with this name.
    pub fn push(&mut self, name: ShortString, value: impl Into<FieldValue>) {
        self.fields.push((name, value.into()));
    }

    /// Removes every field with this name. Returns the first one's value.
    pub fn remove(&mut self, name: &str) -> Option<FieldValue> {
        let mut removed = None;
        let mut kept = Vec::with_capacity(self.fields.len());
        for (known, value) in self.fields.drain(..) {
            if known.as_str() == name {
                removed.get_or_insert(value);
            } else {
                kept.push((known, value));
            }
        }
        self.fields = kept;
        removed
    }

    /// All fields, in the order of the wire.
    pub fn iter(&self) -> std::slice::Iter<'_, (ShortString, FieldValue)> {
        self.fields.iter()
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Decodes a table with its length, which must be all that there is.
    ///
    /// # Errors
    /// Any [`WireError`] that is about values. Fields are not counted, but nesting is bounded by
    /// [`TABLE_DEPTH_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor::new(bytes);
        let table = Self::read(&mut cursor, TABLE_DEPTH_MAX)?;
        cursor.finish()?;
        Ok(table)
    }

    /// Decodes the fields of a table that is given without its length, as [`RawProperties::headers_raw`] has it.
    ///
    /// # Errors
    /// As [`FieldTable::decode`].
    ///
    /// [`RawProperties::headers_raw`]: crate::wire::properties::RawProperties::headers_raw
    pub fn decode_fields(inside: &[u8]) -> Result<Self, WireError> {
        Self::read_fields(Cursor::new(inside), TABLE_DEPTH_MAX - 1)
    }

    /// Appends the table with its length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_length_prefixed(out, |out| {
            for (name, value) in &self.fields {
                put_short_string(name, out);
                value.write(out);
            }
        });
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>, depth_left: usize) -> Result<Self, WireError> {
        let depth_left = depth_left.checked_sub(1).ok_or(WireError::TooDeep)?;
        Self::read_fields(Cursor::new(cursor.long_bytes()?), depth_left)
    }

    fn read_fields(mut inside: Cursor<'_>, depth_left: usize) -> Result<Self, WireError> {
        let mut fields = Vec::new();
        while !inside.is_empty() {
            let name = inside.short_string()?;
            fields.push((name, FieldValue::read(&mut inside, depth_left)?));
        }
        Ok(Self { fields })
    }

    /// Reads past a table, and checks it as [`FieldTable::read`] does except that names may be of
    /// any encoding. Allocates nothing.
    pub(crate) fn skip(cursor: &mut Cursor<'_>, depth_left: usize) -> Result<(), WireError> {
        let depth_left = depth_left.checked_sub(1).ok_or(WireError::TooDeep)?;
        let mut inside = Cursor::new(cursor.long_bytes()?);
        while !inside.is_empty() {
            inside.short_bytes()?;
            FieldValue::skip(&mut inside, depth_left)?;
        }
        Ok(())
    }
}

impl FromIterator<(ShortString, FieldValue)> for FieldTable {
    fn from_iter<I: IntoIterator<Item = (ShortString, FieldValue)>>(fields: I) -> Self {
        Self {
            fields: fields.into_iter().collect(),
        }
    }
}

impl IntoIterator for FieldTable {
    type Item = (ShortString, FieldValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

impl<'a> IntoIterator for &'a FieldTable {
    type Item = &'a (ShortString, FieldValue);
    type IntoIter = std::slice::Iter<'a, (ShortString, FieldValue)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
