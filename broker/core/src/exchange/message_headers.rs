//! What routing looks at of a message's headers.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

use amphora_protocol::exception::{ChannelException, ConnectionException, Exception};
use amphora_protocol::wire::error::WireError;
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};

/// Bytes of the length before a table's fields.
const LENGTH_BYTES: usize = 4;

/// Routing keys of one message, its own included.
const KEYS_MAX: usize = 1024;

/// The headers of the message in hand. Most messages are routed without them, so they are decoded when asked for.
pub trait MessageHeaders {
    /// The headers; an empty table if the message has none.
    ///
    /// # Errors
    /// They are damaged.
    fn table(&self) -> Result<&FieldTable, Exception>;

    /// The headers' fields as they lie on the wire, without the length before them. They may prove to be damaged.
    ///
    /// # Errors
    /// The properties are damaged.
    fn fields(&self) -> Result<Cow<'_, [u8]>, Exception>;

    /// The other properties; none if only the headers are known.
    fn properties(&self) -> RawProperties<'_> {
        RawProperties::default()
    }
}

impl MessageHeaders for FieldTable {
    fn table(&self) -> Result<&FieldTable, Exception> {
        Ok(self)
    }

    fn fields(&self) -> Result<Cow<'_, [u8]>, Exception> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        Ok(Cow::Owned(bytes.split_off(LENGTH_BYTES)))
    }
}

/// The headers of a message as it was received, decoded once, when they are first asked for.
#[derive(Debug)]
pub struct LazyHeaders<'a> {
    properties: RawProperties<'a>,
    table: OnceCell<FieldTable>,
}

impl<'a> LazyHeaders<'a> {
    /// The headers among these properties.
    pub fn new(properties: RawProperties<'a>) -> Self {
        let table = OnceCell::new();
        Self { properties, table }
    }
}

impl MessageHeaders for LazyHeaders<'_> {
    /// # Errors
    /// `FRAME_ERROR` if the headers cannot be decoded.
    fn table(&self) -> Result<&FieldTable, Exception> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let decoded = self.properties.headers().map_err(damaged)?;
        Ok(self.table.get_or_init(|| decoded.unwrap_or_default()))
    }

    fn fields(&self) -> Result<Cow<'_, [u8]>, Exception> {
        let fields = self.properties.headers_raw().map_err(damaged)?;
        Ok(Cow::Borrowed(fields.unwrap_or_default()))
    }

    fn properties(&self) -> RawProperties<'_> {
        self.properties
    }
}

/// What is said of a message whose properties cannot be decoded.
pub(super) fn damaged(error: WireError) -> Exception {
    ConnectionException::frame_error(error.to_string()).into()
}

/// Appends the routing keys that a message has beside its own: those of its `CC` and `BCC` headers (RabbitMQ's
/// sender-selected distribution), each once. Elements that are no texts are passed over.
///
/// # Errors
/// `PRECONDITION_FAILED` if one of the headers is no array, or if there are more than 1,024 keys: each of them is looked up at every
/// exchange on the way.
pub fn sender_selected_keys<'a>(
    headers: &'a FieldTable,
    keys: &mut Vec<&'a str>,
) -> Result<(), ChannelException> {
    let invalid = |reason: String| {
        ChannelException::precondition_failed(format!("invalid message: {reason}"))
    };
    let mut known: HashSet<&str> = keys.iter().copied().collect();
    for name in ["CC", "BCC"] {
        match headers.get(name) {
            None => {}
            Some(FieldValue::Array(values)) => {
                let further = values.iter().filter_map(FieldValue::as_str);
                keys.extend(further.filter(|key| known.insert(key)));
            }
            Some(other) => {
                return Err(invalid(format!(
                    "{{unacceptable_type_in_header,\"{name}\",{}}}",
                    other.type_name()
                )));
            }
        }
    }
    if keys.len() > KEYS_MAX {
        let count = keys.len();
        return Err(invalid(format!(
            "it has {count} routing keys, and {KEYS_MAX} are allowed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::{LazyHeaders, MessageHeaders, sender_selected_keys};

    fn table(name: &str, value: FieldValue) -> FieldTable {
        [(ShortString::new(name).expect("short"), value)]
            .into_iter()
            .collect()
    }

    #[test]
    fn headers_are_those_of_the_properties() {
        let headers = table("a", 1.into());
        let properties = BasicProperties {
            headers: Some(headers.clone()),
            ..BasicProperties::default()
        };
        let mut bytes = Vec::new();
        properties.encode(&mut bytes);
        let lazy = LazyHeaders::new(RawProperties::new(&bytes).expect("whole"));
        assert_eq!(lazy.table(), Ok(&headers));
        assert_eq!(lazy.table(), Ok(&headers));
        assert_eq!(
            LazyHeaders::new(RawProperties::default()).table(),
            Ok(&FieldTable::new())
        );
        let cut = RawProperties::new(&bytes[..bytes.len() - 1]).expect("the flags are there");
        let error = LazyHeaders::new(cut).table().expect_err("cut short");
        assert_eq!(
            error.to_string(),
            "501 FRAME_ERROR - the value is cut short"
        );
    }

    #[test]
    fn further_keys_come_from_cc_and_bcc() {
        let array = FieldValue::Array(vec!["a".into(), 1.into(), "b".into()]);
        let (headers, hidden) = (table("CC", array.clone()), table("BCC", array));
        let mut keys = vec!["own"];
        sender_selected_keys(&headers, &mut keys).expect("an array");
        sender_selected_keys(&hidden, &mut keys).expect("an array");
        assert_eq!(keys, ["own", "a", "b"]);
        let error =
            sender_selected_keys(&table("CC", "a".into()), &mut Vec::new()).expect_err("no array");
        assert_eq!(
            error.text,
            "invalid message: {unacceptable_type_in_header,\"CC\",longstr}"
        );
    }

    #[test]
    fn keys_are_not_without_number() {
        let numbered = |count: u32| {
            let keys = (0..count).map(|number| FieldValue::from(format!("{number}").as_str()));
            table("CC", FieldValue::Array(keys.collect()))
        };
        let (many, more) = (numbered(1023), numbered(1024));
        let mut keys = vec!["own"];
        sender_selected_keys(&many, &mut keys).expect("as many as are allowed");
        assert_eq!(keys.len(), 1024);
        let error = sender_selected_keys(&more, &mut vec!["own"]).expect_err("too many");
        assert_eq!(
            error.text,
            "invalid message: it has 1025 routing keys, and 1024 are allowed"
        );
        // What is said repeatedly is one key.
        let same = table("CC", FieldValue::Array(vec!["a".into(); 10_000]));
        let mut keys = vec!["own"];
        sender_selected_keys(&same, &mut keys).expect("two keys");
        assert_eq!(keys, ["own", "a"]);
    }
}
