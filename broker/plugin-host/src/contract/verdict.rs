//! Verdicts: what a transform said, checked and put into AMQP's bytes.

use amphora_core::hook;
use amphora_protocol::wire::properties::{RawProperties, flag};
use amphora_protocol::wire::table::{FieldTable, RawFields};
use bytes::Bytes;

use super::copies::check_copies;
use super::distinct::Distinct;
use super::outgoing::{HEADER_MAX, lifted_key, lifted_properties};
use super::table::lifted_table;
use super::types::{Properties, Replacement, Verdict};

/// Messages in the place of one, at most.
const REPLACEMENTS_MAX: usize = 256;

/// Bytes of all of them together, at most.
pub(crate) const REPLACEMENT_BYTES_MAX: usize = 64 << 20;

/// Names of headers to take away, at most.
const REMOVALS_MAX: usize = 4096;

/// Ten years.
const DELAY_MS_MAX: u64 = 10 * 365 * 24 * 60 * 60 * 1000;

/// Bytes of a reason that are kept.
const REASON_MAX: usize = 1024;

/// What the core does with the message whose content header is `original`.
///
/// # Errors
/// Names the field that is not as the contract has it.
pub(crate) fn verdict(verdict: Verdict, original: &[u8]) -> Result<hook::Verdict, String> {
    Ok(match verdict {
        Verdict::Pass => hook::Verdict::Pass,
        Verdict::Drop => hook::Verdict::Drop,
        Verdict::Reject(reason) => hook::Verdict::Reject(cut(reason)),
        Verdict::DeadLetter(reason) => hook::Verdict::DeadLetter(cut(reason)),
        Verdict::Delay(delay) => hook::Verdict::Delay(checked_delay(delay)?),
        Verdict::Replace(replacements) => replaced(replacements, original)?,
    })
}

fn replaced(replacements: Vec<Replacement>, original: &[u8]) -> Result<hook::Verdict, String> {
    let count = replacements.len();
    if count == 0 {
        return Ok(hook::Verdict::Drop);
    }
    if count > REPLACEMENTS_MAX {
        return Err(format!(
            "replace has {count} messages, and {REPLACEMENTS_MAX} are allowed"
        ));
    }
    let mut bytes = 0;
    let mut lifted = Vec::with_capacity(count);
    for (index, replacement) in replacements.into_iter().enumerate() {
        let replacement = replacement_of(replacement, original)
            .map_err(|error| format!("replace[{index}]: {error}"))?;
        let parts = [&replacement.body, &replacement.properties];
        bytes += parts.into_iter().flatten().map(Bytes::len).sum::<usize>();
        if bytes > REPLACEMENT_BYTES_MAX {
            return Err(format!(
                "replace has more than {REPLACEMENT_BYTES_MAX} bytes in all"
            ));
        }
        lifted.push(replacement);
    }
    Ok(hook::Verdict::Replace(lifted))
}

fn replacement_of(replacement: Replacement, original: &[u8]) -> Result<hook::Replacement, String> {
    let Replacement {
        routing_key,
        properties,
        set_headers,
        remove_headers,
        body,
        delay,
    } = replacement;
    let removals = remove_headers.len();
    if removals > REMOVALS_MAX {
        return Err(format!(
            "remove-headers has {removals} names, and {REMOVALS_MAX} are allowed"
        ));
    }
    let set = lifted_table(&set_headers, header_max(original))
        .and_then(|set| check_copies(&set).map(|()| set))
        .map_err(|error| format!("set-headers: {error}"))?;
    let untouched = properties.is_none() && set.is_empty() && remove_headers.is_empty();
    let properties = if untouched {
        None
    } else {
        Some(content_header(properties, &set, &remove_headers, original)?)
    };
    Ok(hook::Replacement {
        routing_key: routing_key.map(lifted_key).transpose()?,
        properties,
        body: body.map(Bytes::from),
        delay_ms: checked_delay(delay)?,
    })
}

/// Bytes of the content header that is made of this one, at most: what came that long may go on that long.
fn header_max(original: &[u8]) -> usize {
    HEADER_MAX.max(original.len())
}

/// Puts a content header together from the plugin's part and what stays of the original, whose bytes are not looked into further
/// than needed.
fn content_header(
    properties: Option<Properties>,
    set: &FieldTable,
    remove: &[String],
    original: &[u8],
) -> Result<Bytes, String> {
    let damaged = |error| format!("the message's own content header is damaged: {error}");
    let raw = RawProperties::new(original).map_err(damaged)?;
    let own = properties.map(lifted_properties).transpose()?;
    let own = own.map(|mut own| {
        // Only to find the place of the headers again.
        own.headers = Some(FieldTable::new());
        own.to_bytes()
    });
    let (flags, before, after) = match &own {
        Some(own) => RawProperties::new(own).and_then(RawProperties::without_headers),
        None => raw.without_headers(),
    }
    .map_err(damaged)?;
    let kept = raw.headers_raw().map_err(damaged)?;
    let mut out = Vec::with_capacity(original.len() + 64);
    let has_headers = kept.is_some() || !set.is_empty();
    let flags = if has_headers {
        flags | flag::HEADERS
    } else {
        flags
    };
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(before);
    if has_headers {
        let headers = merged(kept.unwrap_or_default(), set, remove).map_err(damaged)?;
        out.extend_from_slice(&headers);
    }
    out.extend_from_slice(after);
    let allowed = header_max(original);
    if out.len() > allowed {
        let length = out.len();
        return Err(format!(
            "properties and headers have {length} bytes together, and {allowed} are allowed"
        ));
    }
    Ok(out.into())
}

/// A table with its length: the fields of `kept` that are neither removed nor overwritten, then those that are set.
fn merged(
    kept: &[u8],
    set: &FieldTable,
    remove: &[String],
) -> Result<Vec<u8>, amphora_protocol::wire::error::WireError> {
    let mut encoded = Vec::new();
    set.encode(&mut encoded);
    let mut gone = Distinct::default();
    gone.extend(remove.iter().map(String::as_bytes));
    gone.extend(set.iter().map(|(name, _)| name.as_bytes()));
    let mut out = vec![0; 4];
    for field in RawFields::new(kept) {
        let (name, value) = field?;
        if !gone.contains(name) {
            // It was behind a length of one octet before.
            out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(name);
            out.extend_from_slice(value);
        }
    }
    out.extend_from_slice(encoded.get(4..).unwrap_or_default());
    let length = u32::try_from(out.len() - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.first_chunk_mut() {
        *place = length.to_be_bytes();
    }
    Ok(out)
}

fn checked_delay(delay: u64) -> Result<u64, String> {
    if delay > DELAY_MS_MAX {
        return Err(format!(
            "delay is {delay} ms, and ten years ({DELAY_MS_MAX} ms) are allowed"
        ));
    }
    Ok(delay)
}

fn cut(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(REASON_MAX));
    reason
}

#[cfg(test)]
mod tests {
    use amphora_protocol::wire::properties::BasicProperties;
    use amphora_protocol::wire::table::FieldValue;
    use amphora_protocol::wire::types::ShortString;

    use super::super::types::{Field, Table, Value};
    use super::*;

    /// With a duplicate, a narrow number and a name that is not UTF-8.
    fn original() -> Vec<u8> {
        let headers = b"\x01aI\0\0\0\x07\x01bB\x05\x01aI\0\0\0\x08\x02\xff\xfeV";
        let mut bytes = vec![0b1011_0000, 0];
        bytes.extend_from_slice(b"\x04text");
        bytes.extend_from_slice(&u32::try_from(headers.len()).expect("few").to_be_bytes());
        bytes.extend_from_slice(headers);
        bytes.push(2);
        bytes
    }

    fn nothing() -> Replacement {
        Replacement {
            routing_key: None,
            properties: None,
            set_headers: Table::default(),
            remove_headers: Vec::new(),
            body: None,
            delay: 0,
        }
    }

    fn replaced_by(replacement: Replacement) -> Result<hook::Replacement, String> {
        match verdict(Verdict::Replace(vec![replacement]), &original())? {
            hook::Verdict::Replace(mut replacements) => Ok(replacements.remove(0)),
            other => panic!("{other:?}"),
        }
    }

    fn set(name: &str, value: Value) -> Table {
        Table {
            fields: vec![Field {
                name: name.to_owned(),
                value,
            }],
            nested: Vec::new(),
        }
    }

    #[test]
    fn what_is_not_mentioned_is_not_touched() {
        assert_eq!(replaced_by(nothing()), Ok(hook::Replacement::default()));
    }

    #[test]
    fn headers_that_are_left_alone_keep_their_bytes() {
        let replacement = replaced_by(Replacement {
            set_headers: set("a", Value::Signed(1)),
            ..nothing()
        });
        let header = replacement.expect("sound").properties.expect("changed");
        let raw = RawProperties::new(&header).expect("sound");
        assert_eq!(
            raw.headers_raw(),
            Ok(Some(
                b"\x01bB\x05\x02\xff\xfeV\x01al\0\0\0\0\0\0\0\x01".as_slice()
            ))
        );
        assert_eq!(raw.content_type(), Ok(Some("text")));
        assert_eq!(raw.delivery_mode(), Ok(Some(2)));
        assert_eq!(raw.check(), Ok(()));
    }

    #[test]
    fn removing_comes_before_setting() {
        let replacement = replaced_by(Replacement {
            set_headers: set("a", Value::Void),
            remove_headers: vec!["a".into(), "b".into()],
            ..nothing()
        });
        let header = replacement.expect("sound").properties.expect("changed");
        let raw = RawProperties::new(&header).expect("sound");
        assert_eq!(
            raw.headers_raw(),
            Ok(Some(b"\x02\xff\xfeV\x01aV".as_slice()))
        );
    }

    #[test]
    fn properties_are_replaced_all_at_once_and_headers_stay() {
        let replacement = replaced_by(Replacement {
            properties: Some(Properties {
                content_encoding: Some("gzip".into()),
                priority: Some(9),
                ..Properties::default()
            }),
            remove_headers: vec!["\u{fffd}".into(), "a".into()],
            ..nothing()
        });
        let header = replacement.expect("sound").properties.expect("changed");
        let raw = RawProperties::new(&header).expect("sound");
        assert_eq!(raw.content_type(), Ok(None));
        assert_eq!(raw.content_encoding(), Ok(Some("gzip")));
        assert_eq!(raw.priority(), Ok(Some(9)));
        assert_eq!(raw.delivery_mode(), Ok(None));
        assert_eq!(
            raw.headers_raw(),
            Ok(Some(b"\x01bB\x05\x02\xff\xfeV".as_slice()))
        );
    }

    #[test]
    fn a_message_without_headers_can_get_some() {
        let bare = BasicProperties::default().to_bytes();
        let replacement = Replacement {
            set_headers: set("h", Value::Text("x".into())),
            ..nothing()
        };
        let verdict = verdict(Verdict::Replace(vec![replacement]), &bare).expect("sound");
        let hook::Verdict::Replace(replacements) = verdict else {
            panic!("{verdict:?}");
        };
        let header = replacements[0].properties.clone().expect("changed");
        let headers = BasicProperties::decode(&header).expect("sound").headers;
        let text = FieldValue::LongString(Bytes::from_static(b"x"));
        assert_eq!(headers.expect("some").get("h"), Some(&text));
    }

    #[test]
    fn headers_go_between_whatever_else_a_message_has() {
        let short = |text: &str| Some(ShortString::cut(text));
        let mut each = vec![BasicProperties::default(); 13];
        each[0].content_type = short("a");
        each[1].content_encoding = short("a");
        each[2].delivery_mode = Some(2);
        each[3].priority = Some(7);
        each[4].correlation_id = short("a");
        each[5].reply_to = short("a");
        each[6].expiration = short("1");
        each[7].message_id = short("a");
        each[8].timestamp = Some(5);
        each[9].kind = short("a");
        each[10].user_id = short("a");
        each[11].app_id = short("a");
        each[12].cluster_id = short("a");
        for properties in each {
            let replacement = Replacement {
                set_headers: set("h", Value::Text("x".into())),
                ..nothing()
            };
            let original = properties.to_bytes();
            let verdict = verdict(Verdict::Replace(vec![replacement]), &original).expect("sound");
            let hook::Verdict::Replace(replacements) = verdict else {
                panic!("{verdict:?}");
            };
            let header = replacements[0].properties.clone().expect("changed");
            let text = FieldValue::LongString(Bytes::from_static(b"x"));
            let expected = BasicProperties {
                headers: Some([(ShortString::cut("h"), text)].into_iter().collect()),
                ..properties
            };
            assert_eq!(BasicProperties::decode(&header), Ok(expected));
        }
    }

    #[test]
    fn what_the_contract_does_not_allow_is_refused_by_name() {
        let refused = |replacement| replaced_by(replacement).expect_err("refused");
        let key = Replacement {
            routing_key: Some("k".repeat(300)),
            ..nothing()
        };
        assert_eq!(
            refused(key),
            "replace[0]: routing-key has 300 bytes, and 255 are allowed"
        );
        let header = Replacement {
            set_headers: set("h", Value::Unsigned(u64::MAX)),
            ..nothing()
        };
        assert!(refused(header).starts_with("replace[0]: set-headers: the field 'h' "));
        let copies = Replacement {
            set_headers: set("CC", Value::Text("one key".into())),
            ..nothing()
        };
        assert_eq!(
            refused(copies),
            "replace[0]: set-headers: the field 'CC' names further routing keys, and only an array of texts is allowed"
        );
        let delay = Replacement {
            delay: u64::MAX,
            ..nothing()
        };
        assert!(refused(delay).starts_with("replace[0]: delay is "));
        let large = Replacement {
            set_headers: set("h", Value::Bytes(vec![0; 70_000])),
            ..nothing()
        };
        assert!(refused(large).ends_with("the table has more than 65536 bytes"));
        let removals = Replacement {
            remove_headers: vec!["h".into(); 4097],
            ..nothing()
        };
        assert_eq!(
            refused(removals),
            "replace[0]: remove-headers has 4097 names, and 4096 are allowed"
        );
        let many = Verdict::Replace(vec![nothing(); 257]);
        assert_eq!(
            verdict(many, &original()),
            Err("replace has 257 messages, and 256 are allowed".to_owned())
        );
        let body = Replacement {
            body: Some(vec![0; 33 << 20]),
            ..nothing()
        };
        let large = Verdict::Replace(vec![body.clone(), body]);
        assert!(verdict(large, &original()).is_err());
        assert!(verdict(Verdict::Delay(u64::MAX), &original()).is_err());
    }

    #[test]
    fn no_replacement_is_none_and_reasons_are_cut() {
        assert_eq!(
            verdict(Verdict::Replace(Vec::new()), &original()),
            Ok(hook::Verdict::Drop)
        );
        let reason = "ö".repeat(1000);
        let Ok(hook::Verdict::Reject(cut)) = verdict(Verdict::Reject(reason), &original()) else {
            panic!("a reject");
        };
        assert_eq!(cut.len(), 1024);
    }
}
