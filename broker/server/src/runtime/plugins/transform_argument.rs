//! The argument `x-transform` of exchange.declare and queue.declare: the names of transforms, in the order in which they are applied.

use amphora_protocol::wire::table::{FieldTable, FieldValue};

/// Plugins that one argument may name.
const NAMED_MAX: usize = 16;

/// The plugins that the argument of this name names: one text, or an array of texts.
///
/// # Errors
/// Why the value is none of these, in the form of RabbitMQ's texts.
pub(in crate::runtime) fn transforms(
    arguments: &FieldTable,
    name: &str,
) -> Result<Vec<String>, String> {
    let wrong = |value: &FieldValue| {
        format!(
            "invalid type '{}' for arg '{name}': give a plugin's name, or an array of names",
            value.type_name()
        )
    };
    let text = |value: &FieldValue| {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| wrong(value))
    };
    let names = match arguments.get(name) {
        None => return Ok(Vec::new()),
        Some(FieldValue::Array(values)) => {
            values.iter().map(text).collect::<Result<Vec<_>, _>>()?
        }
        Some(value) => vec![text(value)?],
    };
    if names.len() > NAMED_MAX {
        return Err(format!(
            "invalid arg '{name}': {} plugins are named, and {NAMED_MAX} may be",
            names.len()
        ));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use amphora_core::hook::TRANSFORM;

    use super::transforms as transforms_of;

    fn transforms(arguments: &FieldTable) -> Result<Vec<String>, String> {
        transforms_of(arguments, TRANSFORM)
    }

    fn arguments(value: impl Into<FieldValue>) -> FieldTable {
        let mut table = FieldTable::new();
        table.insert(ShortString::cut(TRANSFORM), value);
        table
    }

    #[test]
    fn a_name_or_several() {
        assert_eq!(transforms(&FieldTable::new()), Ok(Vec::new()));
        assert_eq!(transforms(&arguments("a")), Ok(vec!["a".to_owned()]));
        let several = FieldValue::Array(vec!["b".into(), "a".into()]);
        let expected = vec!["b".to_owned(), "a".to_owned()];
        assert_eq!(transforms(&arguments(several)), Ok(expected));
    }

    #[test]
    fn anything_else_is_refused() {
        let expected = "invalid type 'signedint' for arg 'x-transform': give a plugin's name, or an array of names";
        assert_eq!(transforms(&arguments(5)), Err(expected.to_owned()));
        let mixed = FieldValue::Array(vec!["a".into(), 5.into()]);
        assert_eq!(transforms(&arguments(mixed)), Err(expected.to_owned()));
        let many = FieldValue::Array(vec!["a".into(); 17]);
        assert_eq!(
            transforms(&arguments(many)),
            Err("invalid arg 'x-transform': 17 plugins are named, and 16 may be".to_owned())
        );
    }
}
