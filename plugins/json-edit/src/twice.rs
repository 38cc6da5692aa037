//! Names that an object has more than once.

use serde_json::Value;

/// Whether an object of this document has a name more than once. `read` is what was read of it: each name once.
pub(crate) fn has_names_twice(document: &[u8], read: &Value) -> bool {
    written(document) != kept(read)
}

/// Fields of all objects in a sound document.
fn written(document: &[u8]) -> usize {
    let mut fields = 0;
    let mut bytes = document.iter();
    let mut is_text = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_text = !is_text,
            // What follows ends no text.
            b'\\' => {
                bytes.next();
            }
            b':' if !is_text => fields += 1,
            _ => {}
        }
    }
    fields
}

/// Fields of all objects within a value. What is read nests no deeper than the parser allows.
fn kept(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(kept).sum(),
        Value::Object(fields) => fields.len() + fields.values().map(kept).sum::<usize>(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_names_of_one_object_count() {
        let twice = |text: &str| {
            let read = serde_json::from_str(text).expect("sound");
            has_names_twice(text.as_bytes(), &read)
        };
        for text in [
            "7",
            r#"{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}"#,
            r#"{"a:": ":", "\\": "\":\"", ":\"": "x\\"}"#,
            r#"{"a": 1.5e7, "b": null}"#,
        ] {
            assert!(!twice(text), "{text}");
        }
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"[{"b": {"a": 1, "\u0061": 2}}]"#,
            r#"{"a": {"x": 1, "x": 2}, "a": 7}"#,
            r#"{"a": {"x": 1}, "a": {}}"#,
        ] {
            assert!(twice(text), "{text}");
        }
    }
}
