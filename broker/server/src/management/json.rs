//! Field tables as JSON, and back.
//!
//! JSON has fewer types, so the way back is not the way there: any integer comes back as `l`, any fraction as `d`.

use amphora_protocol::limits::TABLE_DEPTH_MAX;
use amphora_protocol::wire::table::{Decimal, FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

/// What JSON says that no field table can hold.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoTable {
    /// A name is too long.
    #[error("the name {0:?} has more than 255 bytes")]
    Name(String),
    /// A number is too large.
    #[error("the number {0} does not fit 64 bits")]
    Number(String),
    /// Tables within tables within tables.
    #[error("more than {TABLE_DEPTH_MAX} levels")]
    TooDeep,
}

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// A table as an object. Of fields with the same name the first one counts.
pub(crate) fn from_table(table: &FieldTable) -> Object {
    let mut object = Map::new();
    for (name, value) in table {
        object
            .entry(name.as_str())
            .or_insert_with(|| from_value(value));
    }
    object
}

/// An object as a table.
pub(crate) fn to_table(object: &Map<String, Value>) -> Result<FieldTable, NoTable> {
    to_table_within(object, TABLE_DEPTH_MAX)
}

/// A value as the broker's texts print it. What no table can hold is printed as nothing.
pub(crate) fn term(value: &Value) -> FieldValue {
    to_value(value, TABLE_DEPTH_MAX).unwrap_or(FieldValue::Void)
}

fn from_value(value: &FieldValue) -> Value {
    match value {
        FieldValue::Bool(flag) => Value::Bool(*flag),
        FieldValue::F32(number) => f64::from(*number).into(),
        FieldValue::F64(number) => (*number).into(),
        FieldValue::Decimal(decimal) => from_decimal(*decimal),
        FieldValue::Timestamp(seconds) => (*seconds).into(),
        FieldValue::LongString(bytes) | FieldValue::ByteArray(bytes) => {
            match std::str::from_utf8(bytes) {
                Ok(text) => text.into(),
                Err(_) => format!("Not UTF-8, base64 is: {}", BASE64.encode(bytes)).into(),
            }
        }
        FieldValue::Array(values) => values.iter().map(from_value).collect(),
        FieldValue::Table(table) => Value::Object(from_table(table)),
        FieldValue::Void => Value::Null,
        integer => integer.as_integer().into(),
    }
}

fn from_decimal(decimal: Decimal) -> Value {
    (f64::from(decimal.value) / 10_f64.powi(decimal.scale.into())).into()
}

fn to_table_within(object: &Map<String, Value>, depth_left: usize) -> Result<FieldTable, NoTable> {
    let depth_left = depth_left.checked_sub(1).ok_or(NoTable::TooDeep)?;
    let mut table = FieldTable::new();
    for (name, value) in object {
        let short = ShortString::new(name).map_err(|_| NoTable::Name(name.clone()))?;
        table.push(short, to_value(value, depth_left)?);
    }
    Ok(table)
}

fn to_value(value: &Value, depth_left: usize) -> Result<FieldValue, NoTable> {
    Ok(match value {
        Value::Null => FieldValue::Void,
        Value::Bool(flag) => (*flag).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(fraction)) if number.is_f64() => fraction.into(),
            _ => return Err(NoTable::Number(number.to_string())),
        },
        Value::Array(values) => {
            let depth_left = depth_left.checked_sub(1).ok_or(NoTable::TooDeep)?;
            let values: Result<Vec<_>, _> = values
                .iter()
                .map(|value| to_value(value, depth_left))
                .collect();
            values?.into()
        }
        Value::Object(object) => to_table_within(object, depth_left)?.into(),
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn table(fields: Vec<(&str, FieldValue)>) -> FieldTable {
        fields
            .into_iter()
            .map(|(name, value)| (ShortString::cut(name), value))
            .collect()
    }

    #[test]
    fn every_type_has_a_json_form() {
        let fields = table(vec![
            ("bool", true.into()),
            ("i8", FieldValue::I8(-1)),
            ("u32", FieldValue::U32(u32::MAX)),
            ("long", FieldValue::LongLong(i64::MIN)),
            ("float", 0.5_f32.into()),
            ("double", 1.25.into()),
            ("not a number", f64::NAN.into()),
            (
                "decimal",
                Decimal {
                    scale: 2,
                    value: 275,
                }
                .into(),
            ),
            ("text", "täxt".into()),
            ("bytes", FieldValue::ByteArray(Bytes::from_static(b"\xff"))),
            (
                "array",
                vec![1_i32.into(), "x".into(), FieldValue::Void].into(),
            ),
            ("timestamp", FieldValue::Timestamp(u64::MAX)),
            ("table", table(vec![("inner", 1_i16.into())]).into()),
        ]);
        let expected = json!({
            "bool": true,
            "i8": -1,
            "u32": u32::MAX,
            "long": i64::MIN,
            "float": 0.5,
            "double": 1.25,
            "not a number": null,
            "decimal": 2.75,
            "text": "täxt",
            "bytes": "Not UTF-8, base64 is: /w==",
            "array": [1, "x", null],
            "timestamp": u64::MAX,
            "table": { "inner": 1 },
        });
        assert_eq!(Value::Object(from_table(&fields)), expected);
    }

    #[test]
    fn what_comes_from_json_goes_back_the_same() -> Result<(), NoTable> {
        let object =
            json!({ "b": false, "i": -5, "f": 1.5, "s": "x", "l": [1, [2]], "t": { "n": null } });
        let Value::Object(fields) = &object else {
            panic!("an object")
        };
        assert_eq!(from_table(&to_table(fields)?), *fields);
        assert_eq!(to_table(fields)?.get("i"), Some(&FieldValue::I64(-5)));
        Ok(())
    }

    #[test]
    fn what_no_table_can_hold_is_refused() {
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!({ "t": inner }));
        let refusal = |value: Value| value.as_object().and_then(|object| to_table(object).err());
        assert_eq!(refusal(nested(TABLE_DEPTH_MAX)), None);
        assert_eq!(refusal(nested(TABLE_DEPTH_MAX + 1)), Some(NoTable::TooDeep));
        assert_eq!(
            refusal(json!({ "n": u64::MAX })),
            Some(NoTable::Number(u64::MAX.to_string()))
        );
        assert_eq!(
            refusal(json!({ "x".repeat(256): 1 })),
            Some(NoTable::Name("x".repeat(256)))
        );
    }
}
