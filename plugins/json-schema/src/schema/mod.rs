//! JSON schemas of draft 2020-12: its applicators and assertions but for what depends on other documents or on annotations.

mod check;
mod compile;
mod equal;
mod loops;
mod read;

use regex::Regex;
use serde_json::Value;

/// A schema that was read. Subschemas are named by their place in the list.
#[derive(Debug)]
pub(crate) struct Schema {
    nodes: Vec<Vec<Keyword>>,
}

/// The place of a subschema.
type Id = usize;

/// The whole schema.
const ROOT: Id = 0;

/// What a keyword demands, in the order and the words of the standard.
#[derive(Debug)]
enum Keyword {
    /// The schema `false`.
    Never,
    Reference(Id),
    AllOf(Vec<Id>),
    AnyOf(Vec<Id>),
    OneOf(Vec<Id>),
    Not(Id),
    If {
        condition: Id,
        then: Option<Id>,
        otherwise: Option<Id>,
    },
    DependentSchemas(Vec<(String, Id)>),
    PrefixItems(Vec<Id>),
    /// The elements behind those of `prefixItems`.
    Items {
        from: usize,
        schema: Id,
    },
    Contains {
        schema: Id,
        min: usize,
        max: usize,
    },
    Properties(Vec<(String, Id)>),
    PatternProperties(Vec<(Regex, Id)>),
    /// Properties that are neither among the names nor match one of the patterns.
    AdditionalProperties {
        names: Vec<String>,
        patterns: Vec<Regex>,
        schema: Id,
    },
    PropertyNames(Id),
    Type(Vec<Type>),
    Enum(Vec<Value>),
    Const(Value),
    MultipleOf(f64),
    Maximum(f64),
    ExclusiveMaximum(f64),
    Minimum(f64),
    ExclusiveMinimum(f64),
    MaxLength(usize),
    MinLength(usize),
    Pattern(Regex),
    MaxItems(usize),
    MinItems(usize),
    UniqueItems,
    MaxProperties(usize),
    MinProperties(usize),
    Required(Vec<String>),
    DependentRequired(Vec<(String, Vec<String>)>),
}

/// The types of JSON, and `integer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    const ALL: [(&'static str, Self); 7] = [
        ("null", Self::Null),
        ("boolean", Self::Boolean),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("string", Self::String),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, known)| *known == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether a value is of this type. A number without a fraction is an integer, however it is written.
    fn is(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::Boolean => value.is_boolean(),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
            Self::Integer => {
                let whole = |number: f64| number.fract() == 0.0;
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(whole)
            }
        }
    }
}

#[cfg(test)]
mod tests;
