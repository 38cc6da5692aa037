//! Messages as records, made of the packed form: so there is one place that decides what a plugin gets to see.

use amphora_core::hook::{BodyNeeds, HEAD, HeaderNeeds, Needs};
use amphora_protocol::wire::properties::RawProperties;
use amphora_protocol::wire::table::{FieldValue, RawFields};

use super::reader::{Reader, Short};
use super::table::Lowered;
use super::types::{Message, Properties, Table};

/// The messages of a packed batch. Names that are not UTF-8, and header fields with such names in them, are left out.
///
/// # Errors
/// The bytes were packed for other needs.
pub(crate) fn messages(needs: &Needs, batch: &[u8], count: usize) -> Result<Vec<Message>, String> {
    let mut reader = Reader(batch.get(HEAD..).unwrap_or_default());
    let messages = (0..count).map(|_| message(needs, &mut reader));
    let messages: Result<Vec<_>, Short> = messages.collect();
    match messages {
        Ok(messages) if reader.0.is_empty() => Ok(messages),
        _ => Err("the batch was packed for other needs".to_owned()),
    }
}

fn message(needs: &Needs, reader: &mut Reader<'_>) -> Result<Message, Short> {
    let mut message = Message::default();
    let parts = needs.parts;
    for (needed, text) in [
        (parts.vhost, &mut message.vhost),
        (parts.exchange, &mut message.exchange),
        (parts.routing_key, &mut message.routing_key),
        (parts.user, &mut message.user),
    ] {
        if needed {
            *text = reader.short()?;
        }
    }
    if parts.time {
        message.time = reader.u64()?;
    }
    if parts.properties {
        let properties = RawProperties::new(reader.long()?).map_err(|_| Short)?;
        message.properties = lowered_properties(properties);
    }
    match &needs.headers {
        HeaderNeeds::None => {}
        HeaderNeeds::All => message.headers = all_headers(reader.long()?),
        HeaderNeeds::Named(names) => {
            let mut headers = Lowered::default();
            for name in names {
                named_header(name, reader, &mut headers)?;
            }
            message.headers = headers.table;
        }
    }
    if needs.body != BodyNeeds::None {
        message.body_size = reader.u64()?;
        message.body = reader.long()?.to_vec();
    }
    Ok(message)
}

fn all_headers(inside: &[u8]) -> Table {
    let mut headers = Lowered::default();
    for (name, value) in RawFields::new(inside).flatten() {
        if let (Ok(name), Ok(value)) = (std::str::from_utf8(name), FieldValue::decode(value)) {
            headers.push(name, &value);
        }
    }
    headers.table
}

/// A value with its type octet, or the octet 0 if the message does not have the header.
fn named_header<'a>(
    name: &'a str,
    reader: &mut Reader<'_>,
    headers: &mut Lowered<'a>,
) -> Result<(), Short> {
    if reader.0.first() == Some(&0) {
        reader.u8()?;
        return Ok(());
    }
    let length = value_length(reader.0).ok_or(Short)?;
    if let Ok(value) = FieldValue::decode(reader.take(length)?) {
        headers.push(name, &value);
    }
    Ok(())
}

/// How many octets the value at the beginning has, with its type.
fn value_length(bytes: &[u8]) -> Option<usize> {
    let (tag, rest) = bytes.split_first()?;
    Some(match tag {
        b'V' => 1,
        b't' | b'b' | b'B' => 2,
        b's' | b'u' => 3,
        b'I' | b'i' | b'f' => 5,
        b'D' => 6,
        b'l' | b'L' | b'd' | b'T' => 9,
        b'S' | b'x' | b'A' | b'F' => {
            let length = u32::from_be_bytes(*rest.first_chunk()?);
            usize::try_from(length).ok()?.checked_add(5)?
        }
        _ => return None,
    })
}

fn lowered_properties(raw: RawProperties<'_>) -> Properties {
    let text = |found: Result<Option<&str>, _>| found.ok().flatten().map(str::to_owned);
    Properties {
        content_type: text(raw.content_type()),
        content_encoding: text(raw.content_encoding()),
        delivery_mode: raw.delivery_mode().ok().flatten(),
        priority: raw.priority().ok().flatten(),
        correlation_id: text(raw.correlation_id()),
        reply_to: text(raw.reply_to()),
        expiration: text(raw.expiration()),
        message_id: text(raw.message_id()),
        timestamp: raw.timestamp().ok().flatten(),
        kind: text(raw.kind()),
        user_id: text(raw.user_id()),
        app_id: text(raw.app_id()),
        cluster_id: text(raw.cluster_id()),
    }
}

#[cfg(test)]
mod tests {
    use amphora_core::hook::{Origin, PackedBatch, Parts};
    use amphora_protocol::wire::properties::BasicProperties;
    use amphora_protocol::wire::table::FieldTable;
    use amphora_protocol::wire::types::ShortString;

    use super::super::types::{Field, Span, Value};
    use super::*;

    fn short(text: &str) -> ShortString {
        ShortString::new(text).expect("short")
    }

    fn shown(needs: &Needs) -> Message {
        let mut headers = FieldTable::new();
        headers.push(short("n"), 7);
        headers.push(short("list"), FieldValue::Array(vec![FieldValue::Void]));
        headers.push(short("n"), 8);
        let properties = BasicProperties {
            content_type: Some(short("text/plain")),
            headers: Some(headers),
            priority: Some(3),
            kind: Some(short("order")),
            ..BasicProperties::default()
        };
        let properties = properties.to_bytes();
        let mut batch = PackedBatch::default();
        for routing_key in ["first", "second"] {
            let origin = Origin {
                vhost: "/",
                exchange: "ex",
                routing_key,
                user: "me",
                time_ms: 5,
                properties: &properties,
                body: b"body",
            };
            batch.push(needs, &origin).expect("sound");
        }
        let messages = messages(needs, batch.bytes(), batch.len()).expect("packed for these needs");
        assert_eq!(messages.len(), 2);
        messages.into_iter().next_back().expect("two")
    }

    #[test]
    fn what_was_not_asked_for_is_empty() {
        assert_eq!(shown(&Needs::default()), Message::default());
    }

    #[test]
    fn everything_can_be_seen() {
        let needs = Needs {
            parts: Parts {
                vhost: true,
                exchange: true,
                routing_key: true,
                user: true,
                time: true,
                properties: true,
            },
            headers: HeaderNeeds::All,
            body: BodyNeeds::Prefix(2),
            pure: false,
        };
        let field = |name: &str, value| Field {
            name: name.to_owned(),
            value,
        };
        let expected = Message {
            vhost: "/".into(),
            exchange: "ex".into(),
            routing_key: "second".into(),
            user: "me".into(),
            time: 5,
            properties: Properties {
                content_type: Some("text/plain".into()),
                priority: Some(3),
                kind: Some("order".into()),
                ..Properties::default()
            },
            headers: Table {
                fields: vec![
                    field("n", Value::Signed(7)),
                    field("list", Value::Array(Span { first: 0, count: 1 })),
                ],
                nested: vec![field("", Value::Void)],
            },
            body: b"bo".to_vec(),
            body_size: 4,
        };
        assert_eq!(shown(&needs), expected);
    }

    #[test]
    fn named_headers_are_those_that_are_there() {
        let names = ["missing", "list", "n"].map(str::to_owned).to_vec();
        let message = shown(&Needs {
            headers: HeaderNeeds::Named(names),
            ..Needs::default()
        });
        let fields = message.headers.fields.iter();
        let names: Vec<_> = fields.map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["list", "n"]);
    }

    #[test]
    fn a_batch_for_other_needs_is_noticed() {
        let mut batch = PackedBatch::default();
        batch
            .push(&Needs::default(), &Origin::default())
            .expect("nothing to look at");
        let other = Needs {
            parts: Parts {
                routing_key: true,
                ..Parts::default()
            },
            ..Needs::default()
        };
        assert!(messages(&other, batch.bytes(), 1).is_err());
    }
}
