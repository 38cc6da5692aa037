//! The host's side of a packed batch.

use super::message::TestMessage;
use crate::needs::{BodyNeeds, HeaderNeeds, Needs};
use crate::packed::LAYOUT;
use crate::properties::Properties;
use crate::value::{Table, Value};

/// Packs messages as the host does.
pub(crate) fn pack(needs: &Needs, messages: &[&TestMessage]) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    out.extend(length(messages.len()).to_le_bytes());
    for message in messages {
        pack_message(needs, message, &mut out);
    }
    out
}

fn pack_message(needs: &Needs, message: &TestMessage, out: &mut Vec<u8>) {
    for (needed, text) in [
        (needs.vhost, &message.vhost),
        (needs.exchange, &message.exchange),
        (needs.routing_key, &message.routing_key),
        (needs.user, &message.user),
    ] {
        if needed {
            put_short(text, out);
        }
    }
    if needs.time {
        out.extend(message.time_ms.to_le_bytes());
    }
    if needs.properties {
        put_long_little(&properties(&message.properties), out);
    }
    match &needs.headers {
        HeaderNeeds::None => {}
        HeaderNeeds::All => put_long_little(&table(&message.headers), out),
        HeaderNeeds::Named(names) => {
            for name in names {
                match message.headers.get(name) {
                    Some(value) => put_value(value, out),
                    None => out.push(0),
                }
            }
        }
    }
    let seen = match needs.body {
        BodyNeeds::None => return,
        BodyNeeds::Prefix(length) => message.body.get(..length as usize),
        BodyNeeds::Whole => None,
    };
    out.extend((message.body.len() as u64).to_le_bytes());
    put_long_little(seen.unwrap_or(&message.body), out);
}

fn properties(properties: &Properties) -> Vec<u8> {
    let mut flags = 0_u16;
    let mut list = Vec::new();
    let text = |bit: u16, value: &Option<String>, list: &mut Vec<u8>, flags: &mut u16| {
        if let Some(value) = value {
            *flags |= 1 << bit;
            put_short(value, list);
        }
    };
    text(15, &properties.content_type, &mut list, &mut flags);
    text(14, &properties.content_encoding, &mut list, &mut flags);
    for (bit, value) in [(12, properties.delivery_mode), (11, properties.priority)] {
        if let Some(value) = value {
            flags |= 1 << bit;
            list.push(value);
        }
    }
    text(10, &properties.correlation_id, &mut list, &mut flags);
    text(9, &properties.reply_to, &mut list, &mut flags);
    text(8, &properties.expiration, &mut list, &mut flags);
    text(7, &properties.message_id, &mut list, &mut flags);
    if let Some(seconds) = properties.timestamp {
        flags |= 1 << 6;
        list.extend(seconds.to_be_bytes());
    }
    text(5, &properties.kind, &mut list, &mut flags);
    text(4, &properties.user_id, &mut list, &mut flags);
    text(3, &properties.app_id, &mut list, &mut flags);
    text(2, &properties.cluster_id, &mut list, &mut flags);
    [flags.to_be_bytes().as_slice(), &list].concat()
}

fn table(table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in table.iter() {
        put_short(name, &mut out);
        put_value(value, &mut out);
    }
    out
}

fn put_value(value: &Value, out: &mut Vec<u8>) {
    let (octet, bytes): (u8, Vec<u8>) = match value {
        Value::Void => (b'V', Vec::new()),
        Value::Boolean(value) => (b't', vec![u8::from(*value)]),
        Value::Signed(value) => (b'l', value.to_be_bytes().into()),
        Value::Unsigned(value) => {
            let value = u32::try_from(*value).expect("AMQP has no larger unsigned number");
            (b'i', value.to_be_bytes().into())
        }
        Value::Float(value) => (b'd', value.to_be_bytes().into()),
        Value::Decimal(scale, value) => {
            (b'D', [&[*scale], value.to_be_bytes().as_slice()].concat())
        }
        Value::Text(text) => (b'S', long_big(text.as_bytes())),
        Value::Bytes(bytes) => (b'x', long_big(bytes)),
        Value::Timestamp(seconds) => (b'T', seconds.to_be_bytes().into()),
        Value::Array(values) => {
            let mut inside = Vec::new();
            for value in values {
                put_value(value, &mut inside);
            }
            (b'A', long_big(&inside))
        }
        Value::Table(inside) => (b'F', long_big(&table(inside))),
    };
    out.push(octet);
    out.extend(bytes);
}

fn long_big(bytes: &[u8]) -> Vec<u8> {
    [length(bytes.len()).to_be_bytes().as_slice(), bytes].concat()
}

fn put_short(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len()).expect("a short string has at most 255 bytes"));
    out.extend(text.as_bytes());
}

fn put_long_little(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(length(bytes.len()).to_le_bytes());
    out.extend(bytes);
}

fn length(length: usize) -> u32 {
    u32::try_from(length).expect("less than 4 GiB")
}
