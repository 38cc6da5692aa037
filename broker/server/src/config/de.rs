//! A serde deserializer over a parsed TOML document whose errors know the key and the place.
//!
//! The `toml` crate's own says `unknown field` and a byte range; an operator needs the whole key, the line, and the key that was
//! probably meant, and gets them only from an error type that takes serde's calls apart from each other.

use std::fmt::{self, Display};
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::nearest::nearest;

/// What is wrong with one key.
#[derive(Debug)]
pub(super) struct Problem {
    /// The key's path, outermost first. Empty until the error has left the value that it is about.
    path: Vec<String>,
    /// Where it stands in the text.
    pub(super) span: Option<Range<usize>>,
    /// What is wrong, and what would be right.
    pub(super) text: String,
}

impl Problem {
    /// The key as it would be written in full: `limits.channel_max`.
    pub(super) fn key(&self) -> String {
        self.path.join(".")
    }

    fn within(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }

    fn or_at(mut self, span: &Range<usize>) -> Self {
        self.span.get_or_insert_with(|| span.clone());
        self
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key(), self.text)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: Display>(text: T) -> Self {
        Self {
            path: Vec::new(),
            span: None,
            text: text.to_string(),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "expected {}, found {}",
            Wanted(expected),
            Found(found)
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let known: Vec<_> = known.iter().map(|name| format!("{name:?}")).collect();
        Self::custom(format_args!(
            "expected {}, found {found:?}",
            known.join(" or ")
        ))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        let hint = match nearest(found, known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the keys here are {}", known.join(", ")),
        };
        Self::custom(format_args!("unknown key; {hint}")).within(found)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::custom("missing").within(name)
    }
}

/// Reads a value from a document.
pub(super) fn from_table<'de, T: de::Deserialize<'de>>(
    table: &Spanned<DeTable<'de>>,
) -> Result<T, Problem> {
    let keys = Table::of(table.get_ref());
    T::deserialize(de::value::MapAccessDeserializer::new(keys))
}

/// What was expected, in the words of the file rather than of Rust.
struct Wanted<'a>(&'a dyn Expected);

impl Display for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = self.0.to_string();
        f.write_str(match wanted.as_str() {
            "i64" => "a whole number",
            "a sequence" => "a list",
            "a boolean" => "true or false",
            "a map" => "a table",
            "any valid JSON value" => "a text, a number, true or false, a list or a table",
            other => other,
        })
    }
}

/// What was found, in the words of the file rather than of Rust.
struct Found<'a>(Unexpected<'a>);

impl Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Unexpected::Str(text) => write!(f, "{text:?}"),
            Unexpected::Signed(number) => number.fmt(f),
            Unexpected::Float(number) => number.fmt(f),
            Unexpected::Bool(flag) => flag.fmt(f),
            Unexpected::Seq => f.write_str("a list"),
            Unexpected::Map => f.write_str("a table"),
            other => other.fmt(f),
        }
    }
}

/// One value of the document.
struct Value<'a, 'de>(&'a Spanned<DeValue<'de>>);

impl<'de> Value<'_, 'de> {
    fn visit<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.get_ref() {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Boolean(flag) => visitor.visit_bool(*flag),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => visitor.visit_i64(number),
                    Err(_) => Err(de::Error::custom(format_args!("{number} is too large"))),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => visitor.visit_f64(number),
                _ => Err(de::Error::custom(format_args!("{number} is no number"))),
            },
            DeValue::Datetime(_) => Err(de::Error::invalid_type(
                Unexpected::Other("a date"),
                &visitor,
            )),
            DeValue::Array(list) => visitor.visit_seq(List::of(list)),
            DeValue::Table(table) => visitor.visit_map(Table::of(table)),
        }
    }
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit(visitor)
            .map_err(|problem| problem.or_at(&self.0.span()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let read = match self.0.get_ref() {
            DeValue::String(text) => IntoDeserializer::<Problem>::into_deserializer(text.as_ref())
                .deserialize_enum(name, variants, visitor),
            _ => self.visit(visitor),
        };
        read.map_err(|problem| problem.or_at(&self.0.span()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The elements of a list that are still to be read.
struct List<'a, 'de> {
    values: std::slice::Iter<'a, Spanned<DeValue<'de>>>,
}

impl<'a, 'de> List<'a, 'de> {
    fn of(list: &'a DeArray<'de>) -> Self {
        Self {
            values: list.iter(),
        }
    }
}

impl<'de> SeqAccess<'de> for List<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Problem> {
        let Some(value) = self.values.next() else {
            return Ok(None);
        };
        seed.deserialize(Value(value))
            .map(Some)
            .map_err(|problem| problem.or_at(&value.span()))
    }
}

/// The keys of a table that are still to be read.
struct Table<'a, 'de> {
    entries: std::vec::IntoIter<Entry<'a, 'de>>,
    current: Option<Entry<'a, 'de>>,
}

type Entry<'a, 'de> = (&'a str, Range<usize>, &'a Spanned<DeValue<'de>>);

impl<'a, 'de> Table<'a, 'de> {
    /// In the order of the text, so that the first problem reported is the first one in the file.
    fn of(table: &'a DeTable<'de>) -> Self {
        let mut entries: Vec<Entry<'a, 'de>> = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
            .collect();
        entries.sort_by_key(|(_, span, _)| span.start);
        Self {
            entries: entries.into_iter(),
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Table<'_, 'de> {
    type Error = Problem;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Problem> {
        self.current = self.entries.next();
        let Some((key, span, _)) = &self.current else {
            return Ok(None);
        };
        let key = seed.deserialize(StrDeserializer::<Problem>::new(key));
        key.map(Some).map_err(|problem| problem.or_at(span))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        let Some((key, span, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        seed.deserialize(Value(value))
            .map_err(|problem| problem.within(key).or_at(&span))
    }
}
