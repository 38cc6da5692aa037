//! Field tables, between AMQP's recursion and the contract's flat lists.

use amphora_protocol::limits::TABLE_DEPTH_MAX;
use amphora_protocol::wire::table::{Decimal, FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use bytes::Bytes;

use super::distinct::Distinct;
use super::types::{Field, Span, Table, Value};

/// A table for a plugin.
pub(crate) fn lowered_table(table: &FieldTable) -> Table {
    let mut lowered = Lowered::default();
    for (name, value) in table {
        lowered.push(name, value);
    }
    lowered.table
}

/// A table for a plugin, as it is being made.
#[derive(Debug, Default)]
pub(super) struct Lowered<'a> {
    pub(super) table: Table,
    names: Distinct<'a>,
}

impl<'a> Lowered<'a> {
    /// Appends a field of the outermost table, and what lies within it, unless there is one of the same name.
    pub(super) fn push(&mut self, name: &'a str, value: &FieldValue) {
        if !self.names.insert(name.as_bytes()) {
            return;
        }
        let value = lower(value, &mut self.table.nested);
        self.table.fields.push(Field {
            name: name.to_owned(),
            value,
        });
    }
}

fn lower(value: &FieldValue, nested: &mut Vec<Field>) -> Value {
    match value {
        FieldValue::Void => Value::Void,
        FieldValue::Bool(value) => Value::Boolean(*value),
        FieldValue::I8(value) => Value::Signed((*value).into()),
        FieldValue::I16(value) => Value::Signed((*value).into()),
        FieldValue::I32(value) => Value::Signed((*value).into()),
        FieldValue::I64(value) | FieldValue::LongLong(value) => Value::Signed(*value),
        FieldValue::U8(value) => Value::Unsigned((*value).into()),
        FieldValue::U16(value) => Value::Unsigned((*value).into()),
        FieldValue::U32(value) => Value::Unsigned((*value).into()),
        FieldValue::F32(value) => Value::Float((*value).into()),
        FieldValue::F64(value) => Value::Float(*value),
        FieldValue::Decimal(Decimal { scale, value }) => {
            Value::Decimal((*scale, value.cast_signed()))
        }
        FieldValue::LongString(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(bytes.to_vec()),
        },
        FieldValue::ByteArray(bytes) => Value::Bytes(bytes.to_vec()),
        FieldValue::Timestamp(seconds) => Value::Timestamp(*seconds),
        FieldValue::Array(values) => Value::Array(lower_all(
            values.iter().map(|value| ("", value)),
            values.len(),
            nested,
        )),
        FieldValue::Table(table) => {
            let mut names = Distinct::default();
            let fields = table.iter().map(|(name, value)| (name.as_str(), value));
            let once = fields.filter(|(name, _)| names.insert(name.as_bytes()));
            let once: Vec<_> = once.collect();
            let count = once.len();
            Value::Table(lower_all(once.into_iter(), count, nested))
        }
    }
}

/// A run of nested fields must lie together, so its place is taken before what lies within its fields is appended.
fn lower_all<'a>(
    fields: impl Iterator<Item = (&'a str, &'a FieldValue)>,
    count: usize,
    nested: &mut Vec<Field>,
) -> Span {
    let first = nested.len();
    let empty = Field {
        name: String::new(),
        value: Value::Void,
    };
    nested.resize(first + count, empty);
    for (index, (name, value)) in fields.enumerate() {
        let value = lower(value, nested);
        if let Some(field) = nested.get_mut(first + index) {
            *field = Field {
                name: name.to_owned(),
                value,
            };
        }
    }
    Span {
        first: number(first),
        count: number(count),
    }
}

/// A table on the wire has at most as many fields as bytes.
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A table of a plugin's, of at most so many bytes on the wire. A plugin's spans may overlap, so that a small answer can stand for a
/// table without a bound: what comes out is counted, and nothing is made of what is above.
///
/// # Errors
/// Says which field is not as it must be.
pub(crate) fn lifted_table(table: &Table, allowed: usize) -> Result<FieldTable, String> {
    let Table { fields, nested } = table;
    let mut lift = Lifting {
        nested,
        allowed,
        left: allowed,
    };
    let mut names = Distinct::default();
    let mut lifted = FieldTable::new();
    for Field { name, value } in fields {
        let short = short_name(name)?;
        if !names.insert(name.as_bytes()) {
            return Err(format!("the field '{name}' is there twice"));
        }
        let value = lift
            .spend(1 + name.len())
            .and_then(|()| lift.value(value, TABLE_DEPTH_MAX - 1))
            .map_err(|error| format!("the field '{name}' {error}"))?;
        lifted.push(short, value);
    }
    Ok(lifted)
}

fn short_name(name: &str) -> Result<ShortString, String> {
    ShortString::new(name).map_err(|too_long| {
        let beginning = ShortString::cut(name);
        format!(
            "the field name '{beginning}…' has {} bytes, and 255 are allowed",
            too_long.length
        )
    })
}

struct Lifting<'a> {
    nested: &'a [Field],
    allowed: usize,
    /// Bytes that may still come out.
    left: usize,
}

impl Lifting<'_> {
    fn value(&mut self, value: &Value, depth_left: usize) -> Result<FieldValue, String> {
        self.spend(size(value))?;
        Ok(match value {
            Value::Void => FieldValue::Void,
            Value::Boolean(value) => FieldValue::Bool(*value),
            Value::Signed(value) => FieldValue::I64(*value),
            Value::Unsigned(value) => FieldValue::I64(i64::try_from(*value).map_err(|_| {
                format!(
                    "has the unsigned number {value}, and clients do not understand any above {}",
                    i64::MAX
                )
            })?),
            Value::Float(value) => FieldValue::F64(*value),
            Value::Decimal((scale, value)) => FieldValue::Decimal(Decimal {
                scale: *scale,
                value: value.cast_unsigned(),
            }),
            Value::Text(text) => FieldValue::LongString(Bytes::copy_from_slice(text.as_bytes())),
            Value::Bytes(bytes) => FieldValue::ByteArray(Bytes::copy_from_slice(bytes)),
            Value::Timestamp(seconds) => FieldValue::Timestamp(*seconds),
            Value::Array(span) => {
                let fields = self.span(*span, depth_left)?;
                let values = fields
                    .iter()
                    .map(|field| self.value(&field.value, depth_left - 1));
                FieldValue::Array(values.collect::<Result<_, _>>()?)
            }
            Value::Table(span) => {
                let fields = self.span(*span, depth_left)?;
                let mut table = FieldTable::new();
                let mut names = Distinct::default();
                for field in fields {
                    if !names.insert(field.name.as_bytes()) {
                        let name = ShortString::cut(&field.name);
                        return Err(format!("has a table with the field '{name}' twice"));
                    }
                    self.spend(1 + field.name.len())?;
                    let value = self.value(&field.value, depth_left - 1)?;
                    table.push(short_name(&field.name)?, value);
                }
                FieldValue::Table(table)
            }
        })
    }
}

impl<'a> Lifting<'a> {
    /// Counts bytes before anything is made of them.
    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| {
            format!(
                "is too much: the table has more than {} bytes",
                self.allowed
            )
        })?;
        Ok(())
    }

    fn span(&mut self, span: Span, depth_left: usize) -> Result<&'a [Field], String> {
        if depth_left == 0 {
            return Err(format!("nests deeper than {TABLE_DEPTH_MAX} levels"));
        }
        let (first, count) = (span.first as usize, span.count as usize);
        let end = first.saturating_add(count);
        self.nested.get(first..end).ok_or_else(|| {
            format!(
                "refers to nested fields {first} to {end}, and there are {}",
                self.nested.len()
            )
        })
    }
}

/// Bytes of a value on the wire, with its type, and without what lies within it.
fn size(value: &Value) -> usize {
    match value {
        Value::Void => 1,
        Value::Boolean(_) => 2,
        Value::Signed(_) | Value::Unsigned(_) | Value::Float(_) | Value::Timestamp(_) => 9,
        Value::Decimal(_) => 6,
        Value::Text(text) => 5 + text.len(),
        Value::Bytes(bytes) => 5 + bytes.len(),
        Value::Array(_) | Value::Table(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: usize = 65_536;

    fn table(fields: &[(&str, FieldValue)]) -> FieldTable {
        let fields = fields
            .iter()
            .map(|(name, value)| (ShortString::new(name).expect("short"), value.clone()));
        fields.collect()
    }

    #[test]
    fn nested_values_come_back_as_they_were() {
        let inner = table(&[("x", FieldValue::I64(-1)), ("y", FieldValue::Void)]);
        let list = FieldValue::Array(vec![
            FieldValue::Table(inner.clone()),
            FieldValue::LongString(Bytes::from_static(b"text")),
            FieldValue::Array(vec![FieldValue::Bool(true)]),
        ]);
        let whole = table(&[
            ("list", list),
            ("inner", FieldValue::Table(inner)),
            ("after", FieldValue::F64(0.5)),
            ("bytes", FieldValue::ByteArray(Bytes::from_static(b"\xff"))),
            ("time", FieldValue::Timestamp(7)),
            (
                "decimal",
                FieldValue::Decimal(Decimal {
                    scale: 2,
                    value: u32::MAX,
                }),
            ),
        ]);
        let mut encoded = Vec::new();
        whole.encode(&mut encoded);
        let length = encoded.len() - 4;
        let lowered = lowered_table(&whole);
        assert!(lifted_table(&lowered, length - 1).is_err());
        assert_eq!(lifted_table(&lowered, length), Ok(whole));
    }

    #[test]
    fn numbers_are_shown_by_their_kind_and_written_as_the_widest() {
        let whole = table(&[
            ("a", FieldValue::U8(200)),
            ("b", FieldValue::I16(-2)),
            ("c", FieldValue::F32(1.5)),
            ("d", FieldValue::LongString(Bytes::from_static(b"\xff"))),
        ]);
        let lowered = lowered_table(&whole);
        let values: Vec<_> = lowered.fields.iter().map(|field| &field.value).collect();
        let expected = [
            Value::Unsigned(200),
            Value::Signed(-2),
            Value::Float(1.5),
            Value::Bytes(vec![0xff]),
        ];
        assert_eq!(values, expected.iter().collect::<Vec<_>>());
        let lifted = lifted_table(&lowered, ALLOWED).expect("sound");
        let tags: Vec<u8> = lifted.iter().map(|(_, value)| value.tag()).collect();
        assert_eq!(tags, b"lldx");
    }

    #[test]
    fn the_first_of_equal_names_counts() {
        let whole = table(&[("a", FieldValue::I64(1)), ("a", FieldValue::I64(2))]);
        assert_eq!(
            lowered_table(&whole).fields,
            [Field {
                name: "a".to_owned(),
                value: Value::Signed(1)
            }]
        );
    }

    #[test]
    fn the_first_of_equal_names_counts_within_a_field_too() {
        let inner = table(&[
            ("a", FieldValue::I64(1)),
            ("a", FieldValue::I64(2)),
            ("b", FieldValue::Void),
        ]);
        let whole = table(&[("t", FieldValue::Table(inner))]);
        let once = table(&[("a", FieldValue::I64(1)), ("b", FieldValue::Void)]);
        let once = table(&[("t", FieldValue::Table(once))]);
        assert_eq!(lowered_table(&whole), lowered_table(&once));
        assert_eq!(lifted_table(&lowered_table(&whole), ALLOWED), Ok(once));
    }

    fn refused(value: Value, nested: Vec<Field>) -> String {
        let fields = vec![Field {
            name: "f".to_owned(),
            value,
        }];
        lifted_table(&Table { fields, nested }, ALLOWED).expect_err("refused")
    }

    #[test]
    fn names_are_compared_however_many_there_are() {
        let field = |number: usize| Field {
            name: number.to_string(),
            value: Value::Void,
        };
        let mut whole = Table {
            fields: (0..5_000).map(field).collect(),
            nested: Vec::new(),
        };
        let lifted = lifted_table(&whole, ALLOWED).expect("each is there once");
        assert_eq!(lowered_table(&lifted), whole);
        whole.fields.push(field(17));
        assert_eq!(
            lifted_table(&whole, ALLOWED),
            Err("the field '17' is there twice".to_owned())
        );
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let span = |first, count| Value::Array(Span { first, count });
        let cell = |value| Field {
            name: String::new(),
            value,
        };
        assert_eq!(
            refused(span(0, 2), vec![cell(Value::Void)]),
            "the field 'f' refers to nested fields 0 to 2, and there are 1"
        );
        let named = |name: &str| Field {
            name: name.to_owned(),
            value: Value::Void,
        };
        assert_eq!(
            refused(
                Value::Table(Span { first: 0, count: 3 }),
                vec![named("x"), named("y"), named("x")]
            ),
            "the field 'f' has a table with the field 'x' twice"
        );
        // A value within itself.
        assert_eq!(
            refused(span(0, 1), vec![cell(span(0, 1))]),
            "the field 'f' nests deeper than 32 levels"
        );
        // Twice as many at every level.
        let mut bomb: Vec<_> = (1..30).map(|level| cell(span(level, 2))).collect();
        bomb.extend([cell(Value::Void), cell(Value::Void)]);
        assert_eq!(
            refused(span(0, 1), bomb),
            "the field 'f' is too much: the table has more than 65536 bytes"
        );
        // One large text, referred to again and again.
        let mut many = vec![cell(span(1, 1)); 800];
        many[0] = cell(Value::Text("x".repeat(1 << 20)));
        assert_eq!(
            refused(span(0, 800), many),
            "the field 'f' is too much: the table has more than 65536 bytes"
        );
        assert!(refused(Value::Unsigned(u64::MAX), Vec::new()).contains("18446744073709551615"));
    }
}
