//! What the host packs is what a plugin sees.

use super::{Batch, PropertiesRef, ValueRef};
use crate::needs::Needs;
use crate::properties::Properties;
use crate::testing::pack::pack;
use crate::testing::{TestMessage, message};
use crate::value::{Table, Value};

fn full() -> TestMessage {
    let nested = Table::from([("deep", Value::Array(vec![1.into(), "x".into()]))]);
    message()
        .exchange("ex")
        .routing_key("key")
        .user("me")
        .time_ms(258)
        .properties(Properties {
            content_type: Some("t".to_owned()),
            delivery_mode: Some(2),
            correlation_id: Some("c".to_owned()),
            timestamp: Some(9),
            cluster_id: Some(String::new()),
            ..Properties::default()
        })
        .header("a", 7)
        .header("b", nested)
        .body("body")
}

fn everything() -> Needs {
    let needs = Needs::new().vhost().exchange().routing_key().user().time();
    needs.properties().body_prefix(2)
}

#[test]
fn parts_are_those_of_the_message() {
    let needs = everything().headers(["b", "none", "a"]);
    let bytes = pack(&needs, &[&full(), &full()]);
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    for _ in 0..2 {
        let message = batch.next().expect("sound").expect("a message");
        assert_eq!(message.vhost(), "/");
        assert_eq!(message.exchange(), "ex");
        assert_eq!(message.routing_key(), "key");
        assert_eq!(message.user(), "me");
        assert_eq!(message.time_ms(), 258);
        assert_eq!(message.body(), b"bo");
        assert_eq!(message.body_size(), 4);
        let properties = message.properties();
        assert_eq!(properties.content_type, Some("t"));
        assert_eq!(properties.delivery_mode, Some(2));
        assert_eq!(properties.priority, None);
        assert_eq!(properties.correlation_id, Some("c"));
        assert_eq!(properties.timestamp, Some(9));
        assert_eq!(properties.cluster_id, Some(""));
        assert!(message.header("none").is_none());
        let header = message.header("a").expect("there");
        assert_eq!(header.as_integer(), Some(7));
        let ValueRef::Table(fields) = message.header("b").expect("there") else {
            panic!("no table");
        };
        let deep = fields.get("deep").expect("there").to_value();
        assert_eq!(deep, Value::Array(vec![1.into(), "x".into()]));
    }
    assert!(batch.next().expect("sound").is_none());
}

#[test]
fn named_headers_have_a_place_each() {
    let needs = Needs::new().header("none").headers(["a", "none", "b"]);
    let bytes = pack(&needs, &[&full()]);
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    let message = batch.next().expect("sound").expect("a message");
    let headers = message.headers();
    assert!(headers.nth(0).is_none());
    assert_eq!(headers.nth(1).and_then(|a| a.as_integer()), Some(7));
    assert!(matches!(headers.nth(2), Some(ValueRef::Table(_))));
    assert!(headers.nth(3).is_none());
}

#[test]
#[should_panic(expected = "`Needs::header` or `headers` was not asked for")]
fn all_headers_have_no_places() {
    let needs = Needs::new().all_headers();
    let bytes = pack(&needs, &[&full()]);
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    let message = batch.next().expect("sound").expect("a message");
    message.headers().nth(0);
}

#[test]
fn all_headers_are_there_in_their_order() {
    let needs = Needs::new().all_headers();
    let bytes = pack(&needs, &[&full()]);
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    let message = batch.next().expect("sound").expect("a message");
    let names: Vec<&str> = message.headers().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(message.header("a").and_then(|a| a.as_integer()), Some(7));
    assert!(message.header("c").is_none());
}

#[test]
fn every_type_octet_is_read() {
    let cases: [(&[u8], Value); 18] = [
        (b"V", Value::Void),
        (b"t\x02", true.into()),
        (b"b\xff", Value::Signed(-1)),
        (b"B\xff", Value::Unsigned(255)),
        (b"s\xff\xfe", Value::Signed(-2)),
        (b"u\xff\xfe", Value::Unsigned(65_534)),
        (b"I\xff\xff\xff\xff", Value::Signed(-1)),
        (b"i\xff\xff\xff\xff", Value::Unsigned(u32::MAX.into())),
        (b"l\0\0\0\0\0\0\0\x01", Value::Signed(1)),
        (b"L\0\0\0\0\0\0\0\x01", Value::Signed(1)),
        (b"f\x3f\0\0\0", 0.5.into()),
        (b"d\x3f\xe0\0\0\0\0\0\0", 0.5.into()),
        (b"D\x02\0\0\0\x05", Value::Decimal(2, 5)),
        (b"S\0\0\0\x01x", "x".into()),
        (b"S\0\0\0\x01\xff", vec![0xff].into()),
        (b"x\0\0\0\x01x", vec![b'x'].into()),
        (b"T\0\0\0\0\0\0\0\x01", Value::Timestamp(1)),
        (b"A\0\0\0\x01V", vec![Value::Void].into()),
    ];
    let needs = Needs::new().header("h");
    for (bytes, expected) in cases {
        let bytes = [b"\x01\x01\0\0\0", bytes].concat();
        let mut batch = Batch::new(&bytes, &needs).expect("a head");
        let message = batch.next().expect("sound").expect("a message");
        let value = message.header("h").expect("there").to_value();
        assert_eq!(value, expected);
        assert!(batch.next().expect("nothing is left over").is_none());
    }
}

/// Every message of the batch, or what is wrong with it.
fn read(bytes: &[u8], needs: &Needs) -> Result<u32, String> {
    let mut batch = Batch::new(bytes, needs).map_err(|error| error.to_string())?;
    let mut count = 0;
    while batch.next().map_err(|error| error.to_string())?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn a_batch_that_is_cut_anywhere_is_an_error() {
    for needs in [everything().all_headers(), everything().headers(["b", "a"])] {
        let bytes = pack(&needs, &[&full(), &full()]);
        assert_eq!(read(&bytes, &needs), Ok(2));
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end], &needs).is_err(), "cut at {end}");
        }
    }
}

#[test]
fn an_error_says_where_and_what() {
    let key = Needs::new().routing_key();
    let header = Needs::new().header("h");
    for (bytes, needs, expected) in [
        (
            b"\x02".as_slice(),
            &key,
            "a batch of layout 2, and this plugin reads layout 1: build it with a newer SDK",
        ),
        (
            b"\x01\x01",
            &key,
            "a batch that ends before its first message",
        ),
        (
            b"\x01\x02\0\0\0\x01a\x02b",
            &key,
            "message 2 of 2: routing-key: cut short",
        ),
        (
            b"\x01\x01\0\0\0\x01abc",
            &key,
            "2 bytes follow the last message",
        ),
        (
            b"\x01\x01\0\0\0?",
            &header,
            "message 1 of 1: headers: a value of unknown type 0x3f",
        ),
    ] {
        assert_eq!(read(bytes, needs), Err(expected.to_owned()));
    }
    let deep = (0..70_u32).fold(b"V".to_vec(), |inside, _| {
        let length = u32::try_from(inside.len()).expect("small").to_be_bytes();
        [b"A".as_slice(), &length, &inside].concat()
    });
    let bytes = [b"\x01\x01\0\0\0".as_slice(), &deep].concat();
    let error = read(&bytes, &header).expect_err("too deep");
    assert_eq!(error, "message 1 of 1: headers: nested too deeply");
}

#[test]
#[should_panic(expected = "`Needs::user` was not asked for")]
fn a_part_that_was_not_asked_for_is_found_by_a_test() {
    let needs = Needs::new().routing_key();
    let bytes = pack(&needs, &[&full()]);
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    let message = batch.next().expect("sound").expect("a message");
    message.user();
}

#[test]
#[should_panic(expected = "the header 'c' was not asked for")]
fn a_header_that_was_not_asked_for_is_found_by_a_test() {
    let needs = Needs::new().header("a");
    let bytes = pack(&needs, &[&full()]);
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    let message = batch.next().expect("sound").expect("a message");
    message.header("c");
}

#[test]
fn what_a_publisher_damaged_is_seen_as_not_there_and_the_next_message_is_whole() {
    let needs = Needs::new().properties().all_headers();
    let sound = pack(&needs, &[&full()]);
    let damaged = b"\x04\0\0\0\x80\0\x09t\x04\0\0\0\x01aI\0";
    let bytes = [b"\x01\x02\0\0\0", damaged.as_slice(), &sound[5..]].concat();
    let mut batch = Batch::new(&bytes, &needs).expect("a head");
    let message = batch.next().expect("sound").expect("a message");
    assert_eq!(message.properties(), PropertiesRef::default());
    assert_eq!(message.headers().iter().count(), 0);
    let message = batch.next().expect("sound").expect("a message");
    assert_eq!(message.properties().content_type, Some("t"));
    assert_eq!(message.headers().iter().count(), 2);
    assert!(batch.next().expect("sound").is_none());
}
