//! Comparisons.

use std::cmp::Ordering;

use amphora_sdk::Value;
use regex::{Regex, RegexBuilder};

use crate::subject::Found;

/// What a compiled regular expression may take, in bytes.
const REGEX_SIZE_MAX: usize = 256 * 1024;

/// A comparison with what a binding gives.
#[derive(Debug)]
pub(crate) enum Operator {
    Eq(Operand),
    Ne(Operand),
    Lt(Operand),
    Le(Operand),
    Gt(Operand),
    Ge(Operand),
    In(Vec<Operand>),
    Prefix(String),
    Regex(Regex),
    Exists(bool),
}

/// What something is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl Operator {
    pub(crate) fn parse(name: &str, operand: &Value) -> Result<Self, String> {
        let operator = match name {
            "eq" => Operand::read(operand).map(Self::Eq),
            "ne" => Operand::read(operand).map(Self::Ne),
            "lt" => Operand::ordered(operand).map(Self::Lt),
            "le" => Operand::ordered(operand).map(Self::Le),
            "gt" => Operand::ordered(operand).map(Self::Gt),
            "ge" => Operand::ordered(operand).map(Self::Ge),
            "in" => match operand.as_array() {
                Some(values) => values
                    .iter()
                    .map(Operand::read)
                    .collect::<Result<_, _>>()
                    .map(Self::In),
                None => Err(format!("takes an array, and got {}", operand.type_name())),
            },
            "prefix" => text(operand).map(|text| Self::Prefix(text.to_owned())),
            "regex" => text(operand).and_then(regex).map(Self::Regex),
            "exists" => match operand {
                Value::Boolean(exists) => Ok(Self::Exists(*exists)),
                other => Err(format!(
                    "takes true or false, and got {}",
                    other.type_name()
                )),
            },
            _ => Err(
                "is no operator: those are eq, ne, lt, le, gt, ge, in, prefix, regex and exists"
                    .to_owned(),
            ),
        };
        operator.map_err(|error| format!("'{name}' {error}"))
    }

    /// Whether it is true of what was found. Of what is not there, only `exists` can be.
    pub(crate) fn holds(&self, found: Option<Found<'_>>) -> bool {
        let Some(found) = found else {
            return matches!(self, Self::Exists(false));
        };
        match self {
            Self::Exists(exists) => *exists,
            Self::Eq(operand) => operand.is(found),
            Self::Ne(operand) => !operand.is(found),
            Self::In(operands) => operands.iter().any(|operand| operand.is(found)),
            Self::Lt(operand) => operand.order(found) == Some(Ordering::Less),
            Self::Gt(operand) => operand.order(found) == Some(Ordering::Greater),
            Self::Le(operand) => operand.order(found).is_some_and(Ordering::is_le),
            Self::Ge(operand) => operand.order(found).is_some_and(Ordering::is_ge),
            Self::Prefix(prefix) => matches!(found, Found::Text(text) if text.starts_with(prefix)),
            Self::Regex(regex) => matches!(found, Found::Text(text) if regex.is_match(text)),
        }
    }
}

impl Operand {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::Void => Ok(Self::Null),
            Value::Boolean(value) => Ok(Self::Boolean(*value)),
            Value::Text(text) => Ok(Self::Text(text.clone())),
            Value::Float(number) => Ok(Self::Float(*number)),
            Value::Decimal(scale, number) => Ok(Self::Float(
                f64::from(*number) / 10_f64.powi((*scale).into()),
            )),
            Value::Timestamp(seconds) => {
                integer(*seconds).ok_or("takes a smaller number".to_owned())
            }
            other => match other.as_integer() {
                Some(number) => Ok(Self::Integer(number)),
                None => Err(format!(
                    "takes a text, a number, a boolean or void, and got {}",
                    other.type_name()
                )),
            },
        }
    }

    fn ordered(value: &Value) -> Result<Self, String> {
        match Self::read(value)? {
            Self::Null | Self::Boolean(_) => Err(format!(
                "takes a text or a number, and got {}",
                value.type_name()
            )),
            operand => Ok(operand),
        }
    }

    fn is(&self, found: Found<'_>) -> bool {
        match (self, found) {
            (Self::Null, Found::Null) => true,
            (Self::Boolean(operand), Found::Boolean(found)) => *operand == found,
            _ => self.order(found) == Some(Ordering::Equal),
        }
    }

    /// How what was found stands to this. None if they cannot be compared.
    #[expect(
        clippy::cast_precision_loss,
        reason = "nearly equal is near enough between an integer and a float"
    )]
    fn order(&self, found: Found<'_>) -> Option<Ordering> {
        match (self, found) {
            (Self::Text(operand), Found::Text(found)) => Some(found.cmp(operand.as_str())),
            (Self::Integer(operand), Found::Integer(found)) => Some(found.cmp(operand)),
            (Self::Float(operand), Found::Float(found)) => found.partial_cmp(operand),
            (Self::Integer(operand), Found::Float(found)) => found.partial_cmp(&(*operand as f64)),
            (Self::Float(operand), Found::Integer(found)) => (found as f64).partial_cmp(operand),
            _ => None,
        }
    }
}

fn integer(number: u64) -> Option<Operand> {
    i64::try_from(number).ok().map(Operand::Integer)
}

fn text(operand: &Value) -> Result<&str, String> {
    operand
        .as_str()
        .ok_or_else(|| format!("takes a text, and got {}", operand.type_name()))
}

fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|error| format!("takes a regular expression: {error}"))
}
