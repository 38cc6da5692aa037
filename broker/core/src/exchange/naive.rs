//! What the exchange types are held against in tests: the standard's words, in the most direct way.

use amphora_protocol::wire::table::{FieldTable, FieldValue};

/// The words of a key.
pub(crate) fn words(key: &str) -> Vec<&str> {
    if key.is_empty() {
        Vec::new()
    } else {
        key.split('.').collect()
    }
}

/// Whether a topic exchange's binding key matches a routing key, both as words.
pub(crate) fn topic_matches(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((&"#", rest)), _) => {
            topic_matches(rest, key)
                || key
                    .split_first()
                    .is_some_and(|(_, key)| topic_matches(pattern, key))
        }
        (Some((&"*", rest)), Some((_, key))) => topic_matches(rest, key),
        (Some((word, rest)), Some((first, key))) => word == first && topic_matches(rest, key),
        _ => false,
    }
}

/// Whether a headers exchange's binding matches. Values are compared as they are, so give both sides the same types.
pub(crate) fn headers_match(arguments: &FieldTable, headers: &FieldTable) -> bool {
    let mode = arguments
        .get("x-match")
        .and_then(FieldValue::as_str)
        .unwrap_or("all");
    let mut results = arguments
        .iter()
        .filter(|(name, _)| {
            *name != "x-match" && (mode.ends_with("-with-x") || !name.starts_with("x-"))
        })
        .map(|(name, wanted)| {
            headers
                .get(name)
                .is_some_and(|value| *wanted == FieldValue::Void || value == wanted)
        });
    if mode.starts_with("any") {
        results.any(|holds| holds)
    } else {
        results.all(|holds| holds)
    }
}
