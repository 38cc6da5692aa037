//! Content properties as bytes.

use amphora_protocol::wire::WireError;
use amphora_protocol::wire::properties::{BasicProperties, RawProperties, flag};
use amphora_protocol::wire::types::ShortString;
use arbtest::arbitrary::{self, Unstructured};
use expect_test::expect;

use crate::samples::short;
use crate::tables::any_table;

fn any_string(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<ShortString>> {
    Ok(u.arbitrary::<Option<String>>()?
        .map(|text| ShortString::cut(&text)))
}

fn any_properties(u: &mut Unstructured<'_>) -> arbitrary::Result<BasicProperties> {
    Ok(BasicProperties {
        content_type: any_string(u)?,
        content_encoding: any_string(u)?,
        headers: if u.arbitrary()? {
            Some(any_table(u, 3)?)
        } else {
            None
        },
        delivery_mode: u.arbitrary()?,
        priority: u.arbitrary()?,
        correlation_id: any_string(u)?,
        reply_to: any_string(u)?,
        expiration: any_string(u)?,
        message_id: any_string(u)?,
        timestamp: u.arbitrary()?,
        kind: any_string(u)?,
        user_id: any_string(u)?,
        app_id: any_string(u)?,
        cluster_id: any_string(u)?,
    })
}

#[test]
fn any_properties_come_back_as_they_were() {
    arbtest::arbtest(|u| {
        let properties = any_properties(u)?;
        let bytes = properties.to_bytes();
        assert_eq!(BasicProperties::decode(&bytes).as_ref(), Ok(&properties));
        let raw = RawProperties::new(&bytes).unwrap();
        assert_eq!(raw.check(), Ok(()));
        assert_eq!(raw.decode().as_ref(), Ok(&properties));
        Ok(())
    });
}

#[test]
fn single_properties_are_found_where_they_lie() {
    arbtest::arbtest(|u| {
        let properties = any_properties(u)?;
        let bytes = properties.to_bytes();
        let raw = RawProperties::new(&bytes).unwrap();
        assert_eq!(raw.content_type(), Ok(properties.content_type.as_deref()));
        assert_eq!(
            raw.content_encoding(),
            Ok(properties.content_encoding.as_deref())
        );
        assert_eq!(raw.headers(), Ok(properties.headers.clone()));
        assert_eq!(raw.has_headers(), properties.headers.is_some());
        assert_eq!(
            raw.headers_raw().map(|raw| raw.is_some()),
            Ok(properties.headers.is_some())
        );
        assert_eq!(raw.delivery_mode(), Ok(properties.delivery_mode));
        assert_eq!(raw.priority(), Ok(properties.priority));
        assert_eq!(
            raw.correlation_id(),
            Ok(properties.correlation_id.as_deref())
        );
        assert_eq!(raw.reply_to(), Ok(properties.reply_to.as_deref()));
        assert_eq!(raw.expiration(), Ok(properties.expiration.as_deref()));
        assert_eq!(raw.message_id(), Ok(properties.message_id.as_deref()));
        assert_eq!(raw.timestamp(), Ok(properties.timestamp));
        assert_eq!(raw.kind(), Ok(properties.kind.as_deref()));
        assert_eq!(raw.user_id(), Ok(properties.user_id.as_deref()));
        assert_eq!(raw.app_id(), Ok(properties.app_id.as_deref()));
        assert_eq!(raw.cluster_id(), Ok(properties.cluster_id.as_deref()));
        Ok(())
    });
}

#[test]
fn headers_find_their_place_among_any_properties() {
    arbtest::arbtest(|u| {
        let mut properties = any_properties(u)?;
        let bytes = properties.to_bytes();
        let raw = RawProperties::new(&bytes).unwrap();
        let (flags, before, after) = raw.without_headers().unwrap();
        let headers = any_table(u, 3)?;
        let mut with_others = (flags | flag::HEADERS).to_be_bytes().to_vec();
        with_others.extend_from_slice(before);
        headers.encode(&mut with_others);
        with_others.extend_from_slice(after);
        properties.headers = Some(headers);
        assert_eq!(
            BasicProperties::decode(&with_others).as_ref(),
            Ok(&properties)
        );
        properties.headers = None;
        let without = [&flags.to_be_bytes(), before, after].concat();
        assert_eq!(BasicProperties::decode(&without).as_ref(), Ok(&properties));
        Ok(())
    });
}

#[test]
fn any_properties_are_refused_wherever_they_are_cut() {
    arbtest::arbtest(|u| {
        let bytes = any_properties(u)?.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(
                BasicProperties::decode(&bytes[..end]),
                Err(WireError::Truncated)
            );
            let raw = RawProperties::new(&bytes[..end]).and_then(RawProperties::check);
            assert_eq!(raw, Err(WireError::Truncated));
        }
        Ok(())
    });
}

#[test]
fn an_octet_too_many_is_refused() {
    for bytes in [b"\x00\x00\x01".as_slice(), b"\x10\x00\x02\x00"] {
        assert_eq!(BasicProperties::decode(bytes), Err(WireError::Trailing(1)));
        let raw = RawProperties::new(bytes).and_then(RawProperties::check);
        assert_eq!(raw, Err(WireError::Trailing(1)));
    }
}

#[test]
fn flags_that_mean_nothing_are_ignored() {
    assert_eq!(
        BasicProperties::decode(b"\x00\x03"),
        Ok(BasicProperties::default())
    );
    assert_eq!(
        RawProperties::new(b"\x00\x03").and_then(RawProperties::check),
        Ok(())
    );
}

#[test]
fn headers_are_checked_without_being_decoded() {
    let refused = |bytes| {
        RawProperties::new(bytes)
            .and_then(RawProperties::check)
            .unwrap_err()
    };
    assert_eq!(
        refused(b"\x20\x00\0\0\0\x03\x01az"),
        WireError::UnknownFieldType(b'z')
    );
    assert_eq!(refused(b"\x20\x00\0\0\0\x03\x05aV"), WireError::Truncated);
}

#[test]
fn strings_of_another_encoding_pass_until_they_are_asked_for() {
    let raw = RawProperties::new(b"\x84\x00\x01\xFF\x02id").unwrap();
    assert_eq!(raw.check(), Ok(()));
    assert_eq!(raw.content_type(), Err(WireError::MalformedUtf8));
    assert_eq!(raw.correlation_id(), Ok(Some("id")));
}

#[test]
fn exact_bytes() {
    let properties = BasicProperties {
        content_type: Some(short("text/plain")),
        delivery_mode: Some(2),
        timestamp: Some(1),
        cluster_id: Some(short("")),
        ..BasicProperties::default()
    };
    expect![[r#"
        b"\x90D\ntext/plain\x02\0\0\0\0\0\0\0\x01\0"
    "#]]
    .assert_debug_eq(&properties.to_bytes());
}
