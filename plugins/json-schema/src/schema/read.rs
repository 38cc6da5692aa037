//! Values of keywords.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::Type;

/// What a compiled regular expression may take, in bytes.
const REGEX_SIZE_MAX: usize = 256 * 1024;

pub(super) fn count(value: &Value) -> Result<usize, String> {
    let whole = value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        // A count of 2⁵³ is out of reach, so the conversion is exact for all that matter.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is checked to be in range"
        )]
        ((0.0..9e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
    });
    let count = whole.and_then(|count| usize::try_from(count).ok());
    count.ok_or_else(|| format!("takes a count, not {value}"))
}

pub(super) fn number(value: &Value) -> Result<f64, String> {
    value
        .as_f64()
        .ok_or_else(|| format!("takes a number, not {value}"))
}

pub(super) fn array(value: &Value) -> Result<&[Value], String> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("takes an array, not {value}"))
}

pub(super) fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("takes an object, not {value}"))
}

pub(super) fn names(value: &Value) -> Result<Vec<String>, String> {
    let names = array(value)?.iter().map(|name| match name {
        Value::String(name) => Ok(name.clone()),
        other => Err(format!("takes names, not {other}")),
    });
    names.collect()
}

pub(super) fn types(value: &Value) -> Result<Vec<Type>, String> {
    let names = match value {
        Value::String(name) => vec![name.clone()],
        names => self::names(names)?,
    };
    let types = names.iter().map(|name| {
        let mut all = Type::ALL.iter();
        let found = all.find(|(known, _)| known == name);
        found
            .map(|&(_, found)| found)
            .ok_or_else(|| format!("there is no type '{name}'"))
    });
    types.collect()
}

pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|error| format!("takes a regular expression: {error}"))
}
