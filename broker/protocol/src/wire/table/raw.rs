//! Fields of a table as they lie on the wire.

use crate::limits::TABLE_DEPTH_MAX;
use crate::wire::cursor::Cursor;
use crate::wire::error::WireError;

use super::FieldValue;

/// Walks over a table's fields without decoding them: each is a name and a value with its tag.
#[derive(Clone, Debug)]
pub struct RawFields<'a> {
    inside: Cursor<'a>,
}

impl<'a> RawFields<'a> {
    /// The fields of a table, given without the length before them.
    pub fn new(inside: &'a [u8]) -> Self {
        Self {
            inside: Cursor::new(inside),
        }
    }

    #[inline]
    fn field(&mut self) -> Result<(&'a [u8], &'a [u8]), WireError> {
        let name = self.inside.short_bytes()?;
        let value = self.inside.rest();
        // The table itself is the first level.
        FieldValue::skip(&mut self.inside, TABLE_DEPTH_MAX - 1)?;
        let length = value.len() - self.inside.rest().len();
        Ok((name, value.get(..length).unwrap_or_default()))
    }
}

impl<'a> Iterator for RawFields<'a> {
    /// # Errors
    /// The value is damaged; nothing follows it.
    type Item = Result<(&'a [u8], &'a [u8]), WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.inside.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.inside = Cursor::new(&[]);
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::{RawFields, WireError};
    use crate::limits::TABLE_DEPTH_MAX;
    use crate::wire::table::{FieldTable, FieldValue};
    use crate::wire::types::ShortString;

    #[test]
    fn fields_are_passed_over_whole() {
        let table = b"\x01aI\0\0\0\x07\x02bcF\0\0\0\x03\x01xV\0V";
        let fields: Result<Vec<_>, _> = RawFields::new(table).collect();
        let expected: Vec<(&[u8], &[u8])> = vec![
            (b"a", b"I\0\0\0\x07"),
            (b"bc", b"F\0\0\0\x03\x01xV"),
            (b"", b"V"),
        ];
        assert_eq!(fields, Ok(expected));
    }

    #[test]
    fn tables_may_be_as_deep_as_when_they_are_decoded() {
        // The first is the table that the fields are of.
        let mut table: FieldTable = FieldTable::new();
        for depth in 1..=TABLE_DEPTH_MAX + 1 {
            let mut bytes = Vec::new();
            table.encode(&mut bytes);
            let fields = &bytes[4..];
            let is_allowed = depth <= TABLE_DEPTH_MAX;
            let mut raw = RawFields::new(fields);
            assert_eq!(raw.all(|field| field.is_ok()), is_allowed, "{depth}");
            assert_eq!(FieldTable::decode_fields(fields).is_ok(), is_allowed);
            table = [(ShortString::cut("a"), FieldValue::Table(table))]
                .into_iter()
                .collect();
        }
    }

    #[test]
    fn damage_is_told_once() {
        let mut fields = RawFields::new(b"\x01aV\x01bI\0");
        assert!(fields.next().is_some_and(|field| field.is_ok()));
        assert_eq!(fields.next(), Some(Err(WireError::Truncated)));
        assert_eq!(fields.next(), None);
    }
}
