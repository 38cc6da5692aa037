//! Values of TOML as field values.

use amphora_protocol::wire::table::{Decimal, FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use toml::Value;

/// A TOML table as a field table.
///
/// # Errors
/// A name is longer than 255 bytes, or there is a value that AMQP does not have.
pub(super) fn table(fields: &toml::Table) -> anyhow::Result<FieldTable> {
    fields
        .iter()
        .map(|(name, value)| {
            let short = ShortString::new(name).with_context(|| format!("'{name}'"))?;
            let value = field_value(value).with_context(|| format!("'{name}'"))?;
            Ok((short, value))
        })
        .collect()
}

fn field_value(value: &Value) -> anyhow::Result<FieldValue> {
    Ok(match value {
        Value::String(text) => FieldValue::LongString(Bytes::copy_from_slice(text.as_bytes())),
        Value::Integer(number) => FieldValue::I64(*number),
        Value::Float(number) => FieldValue::F64(*number),
        Value::Boolean(value) => FieldValue::Bool(*value),
        Value::Datetime(time) => FieldValue::Timestamp(seconds(&time.to_string())?),
        Value::Array(values) => {
            FieldValue::Array(values.iter().map(field_value).collect::<Result<_, _>>()?)
        }
        Value::Table(fields) => match fields.iter().next() {
            Some((name, value)) if fields.len() == 1 && name.starts_with('@') => {
                special(name, value)?
            }
            _ => FieldValue::Table(table(fields)?),
        },
    })
}

fn special(name: &str, value: &Value) -> anyhow::Result<FieldValue> {
    Ok(match (name, value) {
        ("@bytes", Value::String(text)) => FieldValue::ByteArray(base64(text)?),
        ("@timestamp", Value::Integer(seconds)) => {
            FieldValue::Timestamp(u64::try_from(*seconds).context("a timestamp before 1970")?)
        }
        ("@decimal", Value::String(digits)) => FieldValue::Decimal(decimal(digits)?),
        ("@void", Value::Boolean(true)) => FieldValue::Void,
        ("@bytes", _) => bail!("@bytes takes a string in base64"),
        ("@timestamp", _) => bail!("@timestamp takes seconds since 1970 as an integer"),
        ("@decimal", _) => bail!("@decimal takes a string such as \"3.14\""),
        ("@void", _) => bail!("@void takes true"),
        _ => bail!("there is no {name}, only @bytes, @timestamp, @decimal and @void"),
    })
}

/// What is written in base64.
///
/// # Errors
/// It is not.
pub(super) fn base64(text: &str) -> anyhow::Result<Bytes> {
    let bytes = STANDARD.decode(text).context("this is not base64")?;
    Ok(bytes.into())
}

fn decimal(digits: &str) -> anyhow::Result<Decimal> {
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let wrong = || format!("'{digits}' is no decimal number of at most 32 bits");
    let number: i32 = format!("{whole}{fraction}").parse().with_context(wrong)?;
    Ok(Decimal {
        scale: u8::try_from(fraction.len()).with_context(wrong)?,
        value: number.cast_unsigned(),
    })
}

fn seconds(time: &str) -> anyhow::Result<u64> {
    let wrong = || {
        format!(
            "{time}: a timestamp is a date with time and offset, not before 1970, such as 2024-05-01T12:00:00Z"
        )
    };
    let time = humantime::parse_rfc3339(time).with_context(wrong)?;
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .with_context(wrong)?;
    Ok(since.as_secs())
}

/// Whether two values mean the same. The width of a number does not matter: what a plugin sets is written as the widest one.
pub(super) fn same(a: &FieldValue, b: &FieldValue) -> bool {
    if let (Some(a), Some(b)) = (a.as_integer(), b.as_integer()) {
        return a == b;
    }
    match (a, b) {
        (FieldValue::F32(a), FieldValue::F64(b)) | (FieldValue::F64(b), FieldValue::F32(a)) => {
            f64::from(*a).to_bits() == b.to_bits()
        }
        (FieldValue::Array(a), FieldValue::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (FieldValue::Table(a), FieldValue::Table(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
