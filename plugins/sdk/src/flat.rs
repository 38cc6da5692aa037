//! Tables as the contract has them: what lies within arrays and tables is in one list beside the fields, as WIT has no recursive types.

use crate::bindings::grants::amphora::plugin::types;
use crate::value::{Table, Value};

/// Arrays and tables within each other, at most: more than the broker lets pass.
const DEPTH_MAX: usize = 64;

/// The table as a tree.
///
/// # Errors
/// A span leads out of the list, or two lead to the same field.
pub(crate) fn tree(table: types::Table) -> Result<Table, String> {
    let mut nested: Vec<_> = table.nested.into_iter().map(Some).collect();
    let fields = table.fields.into_iter().map(|field| {
        let value = tree_value(field.value, &mut nested, DEPTH_MAX)?;
        Ok((field.name, value))
    });
    fields.collect()
}

fn tree_value(
    value: types::Value,
    nested: &mut [Option<types::Field>],
    depth_left: usize,
) -> Result<Value, String> {
    Ok(match value {
        types::Value::Void => Value::Void,
        types::Value::Boolean(value) => Value::Boolean(value),
        types::Value::Signed(value) => Value::Signed(value),
        types::Value::Unsigned(value) => Value::Unsigned(value),
        types::Value::Float(value) => Value::Float(value),
        types::Value::Decimal((scale, value)) => Value::Decimal(scale, value),
        types::Value::Text(text) => Value::Text(text),
        types::Value::Bytes(bytes) => Value::Bytes(bytes),
        types::Value::Timestamp(seconds) => Value::Timestamp(seconds),
        types::Value::Array(span) => {
            let fields = tree_span(span, nested, depth_left)?;
            Value::Array(fields.into_iter().map(|(_, value)| value).collect())
        }
        types::Value::Table(span) => {
            let fields = tree_span(span, nested, depth_left)?;
            Value::Table(fields.into_iter().collect())
        }
    })
}

fn tree_span(
    span: types::Span,
    nested: &mut [Option<types::Field>],
    depth_left: usize,
) -> Result<Vec<(String, Value)>, String> {
    let depth_left = depth_left
        .checked_sub(1)
        .ok_or("a table is nested too deeply")?;
    let first = span.first as usize;
    let range = first..first.saturating_add(span.count as usize);
    if range.end > nested.len() {
        let length = nested.len();
        return Err(format!(
            "a span of {range:?} in a list of {length} nested fields"
        ));
    }
    let fields = range.map(|index| {
        let field = nested[index].take();
        let field = field.ok_or_else(|| format!("nested field {index} belongs to two values"))?;
        Ok((field.name, tree_value(field.value, nested, depth_left)?))
    });
    fields.collect()
}

/// The table as the contract has it.
pub(crate) fn flat(table: Table) -> types::Table {
    let mut nested = Vec::new();
    let mut fields = Vec::with_capacity(table.len());
    for (name, value) in table {
        let value = flat_value(value, &mut nested);
        fields.push(types::Field { name, value });
    }
    types::Table { fields, nested }
}

fn flat_value(value: Value, nested: &mut Vec<types::Field>) -> types::Value {
    match value {
        Value::Void => types::Value::Void,
        Value::Boolean(value) => types::Value::Boolean(value),
        Value::Signed(value) => types::Value::Signed(value),
        Value::Unsigned(value) => types::Value::Unsigned(value),
        Value::Float(value) => types::Value::Float(value),
        Value::Decimal(scale, value) => types::Value::Decimal((scale, value)),
        Value::Text(text) => types::Value::Text(text),
        Value::Bytes(bytes) => types::Value::Bytes(bytes),
        Value::Timestamp(seconds) => types::Value::Timestamp(seconds),
        Value::Array(values) => {
            let fields = values.into_iter().map(|value| (String::new(), value));
            types::Value::Array(flat_span(fields, nested))
        }
        Value::Table(table) => types::Value::Table(flat_span(table.into_iter(), nested)),
    }
}

/// Keeps places side by side for the fields before it goes into them, so that they are one run.
fn flat_span(
    fields: impl ExactSizeIterator<Item = (String, Value)>,
    nested: &mut Vec<types::Field>,
) -> types::Span {
    let first = nested.len();
    let count = fields.len();
    nested.extend((0..count).map(|_| types::Field {
        name: String::new(),
        value: types::Value::Void,
    }));
    for (index, (name, value)) in fields.enumerate() {
        let value = flat_value(value, nested);
        nested[first + index] = types::Field { name, value };
    }
    types::Span {
        first: length(first),
        count: length(count),
    }
}

/// A list of 2³² fields fits into no guest's memory.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{flat, tree, types};
    use crate::value::{Table, Value};

    fn every_type() -> Table {
        let inner = Table::from([("one", Value::Array(vec!["x".into(), Value::Void]))]);
        Table::from([
            ("void", Value::Void),
            ("boolean", true.into()),
            ("signed", Value::Signed(-1)),
            ("unsigned", Value::Unsigned(1)),
            ("float", 0.5.into()),
            ("decimal", Value::Decimal(2, 314)),
            ("text", "text".into()),
            ("bytes", vec![0xff].into()),
            ("timestamp", Value::Timestamp(7)),
            (
                "array",
                vec![inner.clone().into(), Value::Array(Vec::new()), 3.into()].into(),
            ),
            ("table", Table::from([("inner", inner)]).into()),
        ])
    }

    #[test]
    fn a_table_survives_the_way_out_and_back() {
        assert_eq!(tree(flat(every_type())), Ok(every_type()));
    }

    #[test]
    fn siblings_are_one_run() {
        let one_and_two = [1, 2].map(|number| Value::Array(vec![number.into()]));
        let table = Table::from([("a", Value::Array(one_and_two.into()))]);
        let flat = flat(table);
        let types::Value::Array(span) = flat.fields[0].value else {
            panic!("no array");
        };
        assert_eq!((span.first, span.count), (0, 2));
        assert_eq!(flat.nested.len(), 4);
    }

    #[test]
    fn spans_that_cannot_be_are_refused() {
        let with = |first, count| types::Table {
            fields: vec![
                types::Field {
                    name: "a".to_owned(),
                    value: types::Value::Array(types::Span { first, count }),
                },
                types::Field {
                    name: "b".to_owned(),
                    value: types::Value::Array(types::Span { first: 0, count: 1 }),
                },
            ],
            nested: vec![types::Field {
                name: String::new(),
                value: types::Value::Array(types::Span { first: 0, count: 1 }),
            }],
        };
        assert_eq!(
            tree(with(0, 2)).expect_err("too far"),
            "a span of 0..2 in a list of 1 nested fields"
        );
        assert_eq!(
            tree(with(0, 1)).expect_err("within itself"),
            "nested field 0 belongs to two values"
        );
    }
}
