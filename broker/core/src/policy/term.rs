//! Values as RabbitMQ's texts print them: Erlang terms.

use std::fmt;

use amphora_protocol::wire::table::FieldValue;

/// A value as an Erlang term: `<<"text">>`, `[1,true]`, `#{<<"key">> => 1}`.
#[derive(Clone, Copy, Debug)]
pub struct Term<'a>(pub &'a FieldValue);

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FieldValue::Bool(flag) => write!(f, "{flag}"),
            FieldValue::F32(number) => write!(f, "{number:?}"),
            FieldValue::F64(number) => write!(f, "{number:?}"),
            FieldValue::LongString(bytes) | FieldValue::ByteArray(bytes) => {
                write!(f, "<<\"{}\">>", String::from_utf8_lossy(bytes))
            }
            FieldValue::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}", Term(value))?;
                }
                f.write_str("]")
            }
            FieldValue::Table(table) => {
                f.write_str("#{")?;
                for (index, (name, value)) in table.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}<<\"{name}\">> => {}", Term(value))?;
                }
                f.write_str("}")
            }
            FieldValue::Void => f.write_str("null"),
            other => match other.as_integer() {
                Some(integer) => write!(f, "{integer}"),
                None => f.write_str(other.type_name()),
            },
        }
    }
}
