//! Field tables as text: `{x-max-length: 10, list: [true, "text"]}`.
//!
//! A number without a letter is of the type `I`, as most clients send it; other types have their letter behind it.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;
use std::time::{SystemTime, UNIX_EPOCH};

use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ShortString;
use anyhow::{Context, bail};
use bytes::Bytes;

/// Reads a table, which must be all that there is.
pub(crate) fn parse_table(text: &str) -> anyhow::Result<FieldTable> {
    let mut text = text.chars().peekable();
    let FieldValue::Table(table) = value(&mut text)? else {
        bail!("a table begins with a brace");
    };
    match text.next() {
        None => Ok(table),
        Some(_) => bail!("something behind the table"),
    }
}

/// Writes a table.
pub(crate) fn print_table(table: &FieldTable) -> String {
    let fields: Vec<String> = table
        .iter()
        .map(|(name, value)| format!("{}: {}", name.as_str(), print(value)))
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Writes a text between quotes.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let escaped = bytes.escape_ascii().to_string().replace("\\'", "'");
    format!("\"{escaped}\"")
}

/// Reads a text between quotes, of which the first one is gone.
pub(crate) fn unquote(text: &mut Peekable<Chars<'_>>) -> anyhow::Result<String> {
    let mut read = String::new();
    loop {
        match text.next().context("no closing quote")? {
            '"' => return Ok(read),
            '\\' => match text.next().context("no character behind the backslash")? {
                '0' => read.push('\0'),
                'n' => read.push('\n'),
                other => read.push(other),
            },
            other => read.push(other),
        }
    }
}

fn is_now(seconds: u64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.is_ok_and(|now| now.as_secs().abs_diff(seconds) < 60)
}

fn print(value: &FieldValue) -> String {
    match value {
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::I8(value) => format!("{value}b"),
        FieldValue::U8(value) => format!("{value}B"),
        FieldValue::I16(value) => format!("{value}s"),
        FieldValue::U16(value) => format!("{value}u"),
        FieldValue::I32(value) => value.to_string(),
        FieldValue::U32(value) => format!("{value}i"),
        FieldValue::I64(value) => format!("{value}l"),
        FieldValue::LongLong(value) => format!("{value}L"),
        // The time at which the script is played.
        FieldValue::Timestamp(value) if is_now(*value) => "nowT".to_owned(),
        FieldValue::Timestamp(value) => format!("{value}T"),
        FieldValue::LongString(value) => quote(value),
        FieldValue::Table(table) => print_table(table),
        FieldValue::Void => "void".to_owned(),
        FieldValue::Array(values) => {
            let mut text = String::from("[");
            for (index, value) in values.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}{}", print(value));
            }
            text + "]"
        }
        other => format!("{other:?}"),
    }
}

fn value(text: &mut Peekable<Chars<'_>>) -> anyhow::Result<FieldValue> {
    match *text.peek().context("a value is missing")? {
        '{' => {
            let mut table = FieldTable::new();
            list(text, '}', |text| {
                let name = word(text);
                if text.next() != Some(':') {
                    bail!("no colon behind {name}");
                }
                skip_spaces(text);
                table.push(ShortString::new(name)?, value(text)?);
                Ok(())
            })?;
            Ok(FieldValue::Table(table))
        }
        '[' => {
            let mut values = Vec::new();
            list(text, ']', |text| {
                values.push(value(text)?);
                Ok(())
            })?;
            Ok(FieldValue::Array(values))
        }
        '"' => {
            text.next();
            Ok(FieldValue::LongString(Bytes::from(unquote(text)?)))
        }
        _ => bare(&word(text)),
    }
}

/// Items with commas between them, and a bracket on either side.
fn list(
    text: &mut Peekable<Chars<'_>>,
    close: char,
    mut item: impl FnMut(&mut Peekable<Chars<'_>>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    text.next();
    loop {
        skip_spaces(text);
        if text.next_if_eq(&close).is_some() {
            return Ok(());
        }
        item(text)?;
        skip_spaces(text);
        text.next_if_eq(&',');
    }
}

fn bare(word: &str) -> anyhow::Result<FieldValue> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number = || digits.parse::<i64>().context(word.to_owned());
    Ok(match (word, word.get(digits.len()..).unwrap_or_default()) {
        ("true", _) => FieldValue::Bool(true),
        ("false", _) => FieldValue::Bool(false),
        ("void", _) => FieldValue::Void,
        (_, "") => FieldValue::I32(number()?.try_into()?),
        (_, "b") => FieldValue::I8(number()?.try_into()?),
        (_, "B") => FieldValue::U8(number()?.try_into()?),
        (_, "s") => FieldValue::I16(number()?.try_into()?),
        (_, "u") => FieldValue::U16(number()?.try_into()?),
        (_, "i") => FieldValue::U32(number()?.try_into()?),
        (_, "l") => FieldValue::I64(number()?),
        (_, "L") => FieldValue::LongLong(number()?),
        (_, "T") => FieldValue::Timestamp(number()?.try_into()?),
        _ => bail!("no value: {word:?}"),
    })
}

fn word(text: &mut Peekable<Chars<'_>>) -> String {
    let ends = |letter: &char| !matches!(letter, ' ' | ',' | ':' | '}' | ']');
    std::iter::from_fn(|| text.next_if(ends)).collect()
}

fn skip_spaces(text: &mut Peekable<Chars<'_>>) {
    while text.next_if_eq(&' ').is_some() {}
}
