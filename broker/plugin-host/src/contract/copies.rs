//! Headers that name further routing keys, in messages that a plugin writes.

use amphora_protocol::wire::table::{FieldTable, FieldValue};

/// Refuses headers that name further routing keys in another way than clients may.
///
/// # Errors
/// Names the header.
pub(super) fn check_copies(headers: &FieldTable) -> Result<(), String> {
    let is_text = |value: &FieldValue| matches!(value, FieldValue::LongString(_));
    for name in ["CC", "BCC"] {
        match headers.get(name) {
            None => {}
            Some(FieldValue::Array(keys)) if keys.iter().all(is_text) => {}
            Some(_) => {
                return Err(format!(
                    "the field '{name}' names further routing keys, and only an array of texts is allowed"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::types::ShortString;

    use super::*;

    #[test]
    fn only_an_array_of_texts_names_keys() {
        let check = |name: &str, value: FieldValue| {
            let mut headers = FieldTable::new();
            headers.push(ShortString::new(name).expect("short"), value);
            check_copies(&headers)
        };
        let keys = FieldValue::Array(vec!["a".into(), "b".into()]);
        assert_eq!(check("CC", keys), Ok(()));
        assert_eq!(check("cc", FieldValue::Void), Ok(()));
        for value in [
            FieldValue::Void,
            "a".into(),
            FieldValue::Array(vec!["a".into(), FieldValue::Void]),
        ] {
            let told = check("BCC", value).expect_err("refused");
            assert!(told.starts_with("the field 'BCC' "), "{told}");
        }
    }
}
