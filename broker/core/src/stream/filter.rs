//! `x-stream-filter`: a consumer that wants only messages with certain values of the header `x-stream-filter-value`.
//!
//! The broker looks at every message, not only at batches of them: what a consumer gets has one of its values.

use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::RawFields;

const VALUE: &[u8] = b"x-stream-filter-value";

/// The tag of a text in a table.
const LONG_STRING: u8 = b'S';

/// The values that a consumer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// Sorted.
    values: Vec<Box<[u8]>>,
    /// `x-stream-match-unfiltered`: messages without a value are wanted, too.
    match_unfiltered: bool,
}

impl Filter {
    pub(super) fn new(mut values: Vec<Box<[u8]>>, match_unfiltered: bool) -> Self {
        values.sort_unstable();
        Self {
            values,
            match_unfiltered,
        }
    }

    /// Whether a message with these properties is wanted.
    pub(super) fn wants(&self, properties: &[u8]) -> bool {
        match value(properties) {
            None => self.match_unfiltered,
            Some(value) => {
                let found = self.values.binary_search_by(|wanted| (**wanted).cmp(value));
                found.is_ok()
            }
        }
    }
}

/// The message's filter value; one that is no text does not count.
fn value(properties: &[u8]) -> Option<&[u8]> {
    let headers = RawProperties::new(properties).ok()?.headers_raw().ok()??;
    let (_, value) = RawFields::new(headers)
        .map_while(Result::ok)
        .find(|(name, _)| *name == VALUE)?;
    // Behind the tag and the length.
    let (tag, rest) = value.split_first()?;
    (*tag == LONG_STRING).then(|| rest.get(4..)).flatten()
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::properties::BasicProperties;
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::Filter;

    fn properties(value: Option<FieldValue>) -> Vec<u8> {
        let mut headers = FieldTable::new();
        headers.push(ShortString::cut("a"), 1);
        if let Some(value) = value {
            headers.push(ShortString::cut("x-stream-filter-value"), value);
        }
        BasicProperties {
            headers: Some(headers),
            ..BasicProperties::default()
        }
        .to_bytes()
        .into()
    }

    #[test]
    fn one_of_the_values_or_none_if_that_is_wanted() {
        let values = || vec![Box::from(&b"red"[..]), Box::from(&b"blue"[..])];
        let strict = Filter::new(values(), false);
        let loose = Filter::new(values(), true);
        for (value, expected) in [
            (Some("red".into()), (true, true)),
            (Some("blue".into()), (true, true)),
            (Some("green".into()), (false, false)),
            (Some("".into()), (false, false)),
            (None, (false, true)),
            // What is no text is no value.
            (Some(FieldValue::from(7)), (false, true)),
        ] {
            let given = properties(value);
            assert_eq!((strict.wants(&given), loose.wants(&given)), expected);
        }
        assert!(loose.wants(&[0, 0]) && !strict.wants(&[0, 0]));
    }
}
