//! The header by which a consumer of a stream learns a message's offset.

use amphora_protocol::wire::properties::flag::{CONTENT_ENCODING, CONTENT_TYPE, HEADERS};
use amphora_protocol::wire::table::RawFields;

use crate::store::Position;

pub(super) const OFFSET: &str = "x-stream-offset";

/// Writes the properties with the offset as their first header into `out`, which is cleared before. A header of that name that
/// was there, as in a message that comes from another stream, goes.
///
/// The offset is known when the message is appended and never changes, so the header is stored with the message.
pub(super) fn with_offset(properties: &[u8], offset: Position, out: &mut Vec<u8>) {
    out.clear();
    let Some(parts) = Parts::of(properties) else {
        // The connection refuses properties that are damaged.
        out.extend_from_slice(properties);
        return;
    };
    out.extend_from_slice(&(parts.flags | HEADERS).to_be_bytes());
    out.extend_from_slice(parts.before);
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    put_short(out, OFFSET.as_bytes());
    out.push(b'l');
    out.extend_from_slice(&offset.to_be_bytes());
    for (name, value) in RawFields::new(parts.headers).map_while(Result::ok) {
        if name != OFFSET.as_bytes() {
            put_short(out, name);
            out.extend_from_slice(value);
        }
    }
    let length = u32::try_from(out.len() - length_at - 4).unwrap_or(u32::MAX);
    if let Some(at) = out.get_mut(length_at..length_at + 4) {
        at.copy_from_slice(&length.to_be_bytes());
    }
    out.extend_from_slice(parts.after);
}

/// Properties, taken apart around the headers.
struct Parts<'a> {
    flags: u16,
    before: &'a [u8],
    /// Without their length; empty if there are none.
    headers: &'a [u8],
    after: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(properties: &'a [u8]) -> Option<Self> {
        let (flags, list) = properties.split_first_chunk()?;
        let flags = u16::from_be_bytes(*flags);
        let mut before = 0;
        for string in [CONTENT_TYPE, CONTENT_ENCODING] {
            if flags & string != 0 {
                before += 1 + usize::from(*list.get(before)?);
            }
        }
        let (before, rest) = list.split_at_checked(before)?;
        let (headers, after) = if flags & HEADERS == 0 {
            rest.split_at(0)
        } else {
            let (length, rest) = rest.split_first_chunk()?;
            rest.split_at_checked(u32::from_be_bytes(*length) as usize)?
        };
        Some(Self {
            flags,
            before,
            headers,
            after,
        })
    }
}

/// A name, which is at most 255 bytes long.
fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::properties::BasicProperties;
    use amphora_protocol::wire::table::{FieldTable, FieldValue};
    use amphora_protocol::wire::types::ShortString;

    use super::{OFFSET, with_offset};

    fn numbered(properties: &BasicProperties, offset: u64) -> BasicProperties {
        let mut out = vec![7];
        with_offset(&properties.to_bytes(), offset, &mut out);
        BasicProperties::decode(&out).expect("well-formed")
    }

    #[test]
    fn the_offset_is_the_first_header_and_all_else_stays() {
        let plain = BasicProperties {
            content_type: Some(ShortString::cut("text/plain")),
            delivery_mode: Some(2),
            app_id: Some(ShortString::cut("app")),
            ..BasicProperties::default()
        };
        let mut headers = FieldTable::new();
        headers.push(ShortString::cut(OFFSET), FieldValue::I64(5));
        let expected = BasicProperties {
            headers: Some(headers.clone()),
            ..plain.clone()
        };
        assert_eq!(numbered(&plain, 5), expected);

        let mut own = FieldTable::new();
        own.push(ShortString::cut("colour"), "red");
        own.push(ShortString::cut(OFFSET), FieldValue::I64(99));
        own.push(ShortString::cut("size"), 3);
        let given = BasicProperties {
            headers: Some(own),
            ..plain.clone()
        };
        headers.push(ShortString::cut("colour"), "red");
        headers.push(ShortString::cut("size"), 3);
        let expected = BasicProperties {
            headers: Some(headers),
            ..plain
        };
        assert_eq!(numbered(&given, 5), expected);
    }
}
