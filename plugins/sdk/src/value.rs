//! Field values and tables that a plugin owns: arguments of exchanges and bindings, and the headers that transforms see and set.

/// A field value of AMQP 0-9-1. The widths of numbers are not kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: type octet `V`.
    Void,
    /// Type octet `t`.
    Boolean(bool),
    /// Type octets `b`, `s`, `I` and `l`; written as `l`.
    Signed(i64),
    /// Type octets `B`, `u` and `i`; written as `l`, and refused by the broker if it does not fit.
    Unsigned(u64),
    /// Type octets `f` and `d`; written as `d`.
    Float(f64),
    /// Type octet `D`: the number of decimal places, and the number without its point.
    Decimal(u8, i32),
    /// Type octet `S`, if it is UTF-8.
    Text(String),
    /// Type octet `x`, and `S` if it is not UTF-8; written as `x`.
    Bytes(Vec<u8>),
    /// Type octet `T`: seconds since 1970-01-01T00:00Z.
    Timestamp(u64),
    /// Type octet `A`.
    Array(Vec<Value>),
    /// Type octet `F`.
    Table(Table),
}

impl Value {
    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number of any type that fits.
    pub fn as_integer(&self) -> Option<i64> {
        match *self {
            Self::Signed(number) => Some(number),
            Self::Unsigned(number) => i64::try_from(number).ok(),
            _ => None,
        }
    }

    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Boolean(value) => Some(value),
            _ => None,
        }
    }

    /// A table.
    pub fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            _ => None,
        }
    }

    /// An array's elements.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The type in words that a client's author understands, for error texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Void => "void",
            Self::Boolean(_) => "a boolean",
            Self::Signed(_) | Self::Unsigned(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Decimal(..) => "a decimal",
            Self::Text(_) => "a text",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "a timestamp",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

/// Conversions that make literals short.
macro_rules! from {
    ($($type:ty => $variant:ident($convert:expr);)*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant($convert(value))
            }
        })*
    };
}

from! {
    bool => Boolean(std::convert::identity);
    i32 => Signed(i64::from);
    i64 => Signed(std::convert::identity);
    u32 => Unsigned(u64::from);
    u64 => Unsigned(std::convert::identity);
    f64 => Float(std::convert::identity);
    &str => Text(str::to_owned);
    String => Text(std::convert::identity);
    Vec<u8> => Bytes(std::convert::identity);
    Vec<Value> => Array(std::convert::identity);
    Table => Table(std::convert::identity);
}

/// Names and values, in the order of the wire. If a name is there several times, the first one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    fields: Vec<(String, Value)>,
}

impl Table {
    /// A table without fields.
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// The value of the first field with this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let field = self.fields.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value)
    }

    /// Sets the first field with this name, or adds one at the end.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.fields.push((name, value)),
        }
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        let fields = self.fields.iter();
        fields.map(|(name, value)| (name.as_str(), value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Table {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        Self {
            fields: fields
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl<N: Into<String>, V: Into<Value>, const LENGTH: usize> From<[(N, V); LENGTH]> for Table {
    fn from(fields: [(N, V); LENGTH]) -> Self {
        fields.into_iter().collect()
    }
}

impl IntoIterator for Table {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}
