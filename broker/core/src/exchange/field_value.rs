//! When two field values are the same to a headers exchange.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::table::FieldValue;

/// A value without what does not matter: the kind of a number, and whether bytes are called a text.
#[derive(Debug)]
pub(crate) enum Compared<'a> {
    /// Also a float that is one.
    Integer(i64),
    Float(f64),
    Bool(bool),
    Text(&'a [u8]),
    /// What is rarely asked for.
    Other(Cow<'a, FieldValue>),
}

impl<'a> Compared<'a> {
    /// A value as it lies on the wire, with its tag. Allocates only for what is neither a number nor a text.
    ///
    /// # Errors
    /// The value is damaged.
    pub(crate) fn of_raw(raw: &'a [u8]) -> Result<Self, WireError> {
        if let [b'S' | b'x', _, _, _, _, text @ ..] = raw {
            return Ok(Self::Text(text));
        }
        let value = FieldValue::decode(raw)?;
        Ok(Self::number(&value).unwrap_or(Self::Other(Cow::Owned(value))))
    }

    fn number(value: &FieldValue) -> Option<Self> {
        match *value {
            FieldValue::Bool(value) => Some(Self::Bool(value)),
            FieldValue::F32(float) => Some(Self::float(float.into())),
            FieldValue::F64(float) => Some(Self::float(float)),
            FieldValue::Timestamp(seconds) => i64::try_from(seconds).ok().map(Self::Integer),
            _ => value.as_integer().map(Self::Integer),
        }
    }

    fn float(float: f64) -> Self {
        // Every integer below is a float as well, and none beyond the next power of two is an `i64`.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        if float.fract() == 0.0 && (-BEYOND..BEYOND).contains(&float) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is an integer within the bounds"
            )]
            return Self::Integer(float as i64);
        }
        Self::Float(float)
    }

    /// Whether both are of one class (numbers and times of any kind, texts and bytes, otherwise one type) and equal.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a == b,
            #[expect(
                clippy::float_cmp,
                reason = "a header equals a binding's argument only exactly"
            )]
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Other(a), Self::Other(b)) => a == b,
            _ => false,
        }
    }

    /// Equal for values that are the same.
    pub(crate) fn hash(&self, hasher: &mut impl Hasher) {
        match self {
            Self::Integer(value) => {
                hasher.write_u8(1);
                hasher.write_i64(*value);
            }
            Self::Float(value) => {
                hasher.write_u8(2);
                hasher.write_u64(value.to_bits());
            }
            Self::Text(value) => {
                hasher.write_u8(3);
                hasher.write(value);
            }
            Self::Bool(value) => hasher.write_u8(if *value { 4 } else { 5 }),
            Self::Other(value) => match value.as_ref() {
                FieldValue::Timestamp(seconds) => {
                    hasher.write_u8(7);
                    hasher.write_u64(*seconds);
                }
                FieldValue::Decimal(number) => {
                    hasher.write_u8(8);
                    number.hash(hasher);
                }
                // Rare as what a binding asks for: they share a place and are told apart by comparison.
                _ => hasher.write_u8(6),
            },
        }
    }
}

impl<'a> From<&'a FieldValue> for Compared<'a> {
    fn from(value: &'a FieldValue) -> Self {
        match value {
            FieldValue::LongString(text) | FieldValue::ByteArray(text) => Self::Text(text),
            value => Self::number(value).unwrap_or(Self::Other(Cow::Borrowed(value))),
        }
    }
}

/// Whether both are of one class and equal: see [`Compared::is_same`].
pub(crate) fn same_value(a: &FieldValue, b: &FieldValue) -> bool {
    Compared::from(a).is_same(&b.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphora_protocol::wire::table::{Decimal, FieldTable};
    use foldhash::fast::FixedState;
    use std::hash::BuildHasher;

    fn hash(value: &Compared<'_>) -> u64 {
        let mut hasher = FixedState::default().build_hasher();
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// So many classes of values have places of their own.
    const TOLD_APART: usize = 13;

    /// Values of one class stand together; those of different lines are never the same.
    fn classes() -> Vec<Vec<FieldValue>> {
        let table: FieldTable = [("a", 1), ("b", 2)]
            .into_iter()
            .map(|(name, value)| (name.try_into().expect("short"), FieldValue::I32(value)))
            .collect();
        vec![
            vec![
                FieldValue::I8(7),
                FieldValue::U16(7),
                7.into(),
                FieldValue::LongLong(7),
                FieldValue::F32(7.0),
                FieldValue::F64(7.0),
                FieldValue::Timestamp(7),
            ],
            vec![FieldValue::I16(-1), FieldValue::I64(-1)],
            vec![FieldValue::F32(0.5), FieldValue::F64(0.5)],
            vec![FieldValue::F64(0.0), FieldValue::F32(-0.0), 0.into()],
            vec![FieldValue::F64(9_223_372_036_854_775_808.0)],
            vec![true.into()],
            vec![false.into()],
            vec![
                "7".into(),
                FieldValue::ByteArray(bytes::Bytes::from_static(b"7")),
            ],
            vec!["".into()],
            vec![FieldValue::Timestamp(8)],
            vec![FieldValue::Timestamp(u64::MAX)],
            vec![FieldValue::Decimal(Decimal { scale: 1, value: 7 })],
            vec![FieldValue::Decimal(Decimal { scale: 2, value: 7 })],
            vec![FieldValue::Void],
            vec![FieldValue::Table(table.clone())],
            vec![FieldValue::Array(vec![FieldValue::Table(table)])],
        ]
    }

    #[test]
    fn values_are_compared_on_the_wire_as_they_are_decoded() {
        let classes = classes();
        let of = |class: usize| classes[class].iter().map(move |value| (class, value));
        let all: Vec<_> = (0..classes.len()).flat_map(of).collect();
        for (class, value) in &all {
            let mut raw = Vec::new();
            let field = ("x".try_into().expect("short"), (*value).clone());
            FieldTable::from_iter([field]).encode(&mut raw);
            // The length of the table, and the name with its own.
            let raw = Compared::of_raw(&raw[6..]).expect("whole");
            for (other_class, other) in &all {
                let other = Compared::from(*other);
                assert_eq!(
                    raw.is_same(&other),
                    class == other_class,
                    "{raw:?} {other:?}"
                );
                assert!(class != other_class || hash(&raw) == hash(&other));
                // Tables and arrays share a place with what has no value.
                let is_told_apart = *class < TOLD_APART && *other_class < TOLD_APART;
                assert!(
                    class == other_class || !is_told_apart || hash(&raw) != hash(&other),
                    "{raw:?} {other:?}"
                );
            }
        }
    }
}
