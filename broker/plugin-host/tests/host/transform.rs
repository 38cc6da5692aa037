//! Transforms.

use std::fmt::Write;

use amphora_core::hook::{BodyNeeds, Fault, HeaderNeeds, Needs, OnError, Origin, Parts, Verdict};
use amphora_plugin_host::PluginSpec;
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::types::ShortString;

use crate::guest::{Guest, Kind};
use crate::world::{World, fault};

fn everything() -> Needs {
    Needs {
        parts: Parts {
            vhost: true,
            exchange: true,
            routing_key: true,
            user: true,
            time: true,
            properties: true,
        },
        headers: HeaderNeeds::All,
        body: BodyNeeds::Whole,
        pure: false,
    }
}

fn properties() -> Vec<u8> {
    let short = |text| ShortString::new(text).expect("short");
    let headers = [(short("h"), 1.into()), (short("other"), 2.into())];
    let properties = BasicProperties {
        content_type: Some(short("text/plain")),
        headers: Some(headers.into_iter().collect()),
        timestamp: Some(77),
        ..BasicProperties::default()
    };
    properties.to_bytes().to_vec()
}

/// What a guest with this body of `apply` makes of a message.
fn applied(body: &str, queue: Option<&str>) -> Result<Verdict, (Fault, String)> {
    let world = World::new();
    let guest = Guest::new(Kind::Transform)
        .needs(everything())
        .body("apply", body);
    world.load_transform(&guest.component());
    let transform = world.host.transform("plugin", None);
    let properties = properties();
    let message = Origin {
        vhost: "/",
        exchange: "ex",
        routing_key: "key",
        user: "me",
        time_ms: 1234,
        properties: &properties,
        body: b"body",
    };
    let verdict = transform.apply(&message, queue);
    verdict.map_err(|error| (error.fault, error.text))
}

/// Writes numbers of 4 bytes at 4096 and what follows; then is the result.
fn record(words: &[(u32, &str)]) -> String {
    let mut body = String::new();
    for (offset, value) in words {
        let _ = write!(body, "(i32.store (i32.const {}) {value})", 4096 + offset);
    }
    body + "(i32.const 4096)"
}

fn number(value: u32) -> String {
    format!("(i32.const {value})")
}

#[test]
fn each_verdict_is_understood() {
    assert_eq!(applied("(i32.const 2048)", None), Ok(Verdict::Pass));
    let two = number(2);
    assert_eq!(applied(&record(&[(0, &two)]), None), Ok(Verdict::Drop));
    let text = [number(2080), number(11)];
    for (tag, expected) in [
        (3, Verdict::Reject("not with me".to_owned())),
        (4, Verdict::DeadLetter("not with me".to_owned())),
    ] {
        let tag = number(tag);
        let body = record(&[(0, &tag), (8, &text[0]), (12, &text[1])]);
        assert_eq!(applied(&body, None), Ok(expected));
    }
    let body = record(&[(0, &number(5)), (8, &number(900))]);
    assert_eq!(applied(&body, None), Ok(Verdict::Delay(900)));
    // An empty list of replacements.
    let body = record(&[(0, &number(1))]);
    assert_eq!(applied(&body, None), Ok(Verdict::Drop));
}

/// Each place of the record `message` that the guest looks at, by what it must find there.
#[test]
fn the_guest_sees_the_whole_message() {
    let mut checks = String::new();
    let mut check = |load: &str, offset: u32, expected: u64| {
        let kind = &load[..3];
        let _ = write!(
            checks,
            "(if ({kind}.ne ({load} offset={offset} (local.get $message)) ({kind}.const {expected})) (then (i32.store (i32.const 4096) (i32.const 3)) (i32.store (i32.const 4104) (i32.const 2080)) (i32.store (i32.const 4108) (i32.const 11)) (return (i32.const 4096))))"
        );
    };
    // Lengths of vhost, exchange, routing key and user; the time.
    for (offset, length) in [(4, 1), (12, 2), (20, 3), (28, 2)] {
        check("i32.load", offset, length);
    }
    check("i64.load", 32, 1234);
    // The content type is there, the encoding is not; the timestamp.
    check("i32.load8_u", 40, 1);
    check("i32.load", 48, 10);
    check("i32.load8_u", 52, 0);
    check("i32.load8_u", 120, 1);
    check("i64.load", 128, 77);
    // Two headers, nothing nested; the body and its size.
    check("i32.load", 188, 2);
    check("i32.load", 196, 0);
    check("i32.load", 204, 4);
    check("i64.load", 208, 4);
    // The queue.
    check("i32.load8_u", 216, 1);
    check("i32.load", 224, 5);
    let body = checks + "(i32.const 2048)";
    assert_eq!(applied(&body, Some("queue")), Ok(Verdict::Pass));
    assert_eq!(
        applied(&body, None),
        Ok(Verdict::Reject("not with me".to_owned())),
        "the checks check"
    );
}

#[test]
fn a_replacement_changes_what_it_mentions() {
    // One replacement at 5000: a routing key, one header removed, another body, a delay.
    let words = [
        (0, number(1)),
        (8, number(5000)),
        (12, number(1)),
        (904, number(1)),
        (908, number(2080)),
        (912, number(3)),
        // remove-headers: one text at 5300.
        (904 + 184, number(5300)),
        (904 + 188, number(1)),
        (1204, "(i32.const 5400)".to_owned()),
        (1208, number(1)),
        (1304, "(i32.const 104)".to_owned()),
        // The body: some.
        (904 + 192, number(1)),
        (904 + 196, number(2084)),
        (904 + 200, number(4)),
        (904 + 208, number(3000)),
    ];
    let words: Vec<(u32, &str)> = words.iter().map(|(at, word)| (*at, &**word)).collect();
    let Ok(Verdict::Replace(replacements)) = applied(&record(&words), None) else {
        panic!("{:?}", applied(&record(&words), None));
    };
    let [replacement] = &replacements[..] else {
        panic!("{replacements:?}");
    };
    assert_eq!(replacement.routing_key.as_deref(), Some("not"));
    assert_eq!(replacement.body.as_deref(), Some(b"with".as_slice()));
    assert_eq!(replacement.delay_ms, 3000);
    let header = replacement.properties.clone().expect("a header is gone");
    let raw = RawProperties::new(&header).expect("sound");
    assert_eq!(raw.timestamp(), Ok(Some(77)));
    let headers = raw.headers().expect("sound").expect("one is left");
    assert_eq!((headers.len(), headers.get("h")), (1, None));
}

#[test]
fn answers_that_the_contract_does_not_allow_are_failures() {
    let forever = record(&[(0, &number(5)), (12, &number(900))]);
    let (kind, text) = applied(&forever, None).expect_err("too long");
    assert_eq!(kind, Fault::BadAnswer);
    assert!(text.starts_with("apply: delay is "), "{text}");
    let no_such_verdict = record(&[(0, &number(17))]);
    let (kind, _) = applied(&no_such_verdict, None).expect_err("there are six");
    assert_eq!(kind, Fault::BadAnswer);
    // A reason that is no text.
    let body = record(&[(0, &number(3)), (8, &number(4096)), (12, &number(4000))]).replacen(
        "(i32.store",
        "(i32.store (i32.const 5000) (i32.const -1)) (i32.store",
        1,
    );
    assert_eq!(
        applied(&body, None).expect_err("no text").0,
        Fault::BadAnswer
    );
}

#[test]
fn a_hostile_transform_fails_by_the_message() {
    let forever = "(loop $ever (br $ever)) unreachable";
    assert_eq!(applied(forever, None).expect_err("ended").0, Fault::Timeout);
    let (kind, text) = applied("unreachable", None).expect_err("a trap");
    assert_eq!(kind, Fault::Trap);
    assert!(text.starts_with("transform.apply: "), "{text}");
}

#[test]
fn an_attachment_waits_for_its_plugin_and_may_have_its_own_way_with_errors() {
    let world = World::new();
    let transform = world.host.transform("plugin", None);
    let strict = world.host.transform("plugin", Some(OnError::Reject));
    assert_eq!(transform.plugin(), "plugin");
    let message = Origin::default();
    assert_eq!(fault(transform.apply(&message, None)).0, Fault::NotLoaded);
    let mut spec = PluginSpec::new("plugin");
    spec.on_error = OnError::Pass;
    let component = Guest::new(Kind::Transform).component();
    world.host.load(spec, &component).expect("good");
    assert_eq!(transform.apply(&message, None), Ok(Verdict::Pass));
    assert_eq!(transform.on_error(), OnError::Pass);
    assert_eq!(strict.on_error(), OnError::Reject);
    world.host.unload("plugin").expect("loaded");
    assert_eq!(fault(transform.apply(&message, None)).0, Fault::NotLoaded);
    world.host.forget("plugin");
    assert!(world.host.snapshot("plugin").is_some(), "it is attached");
    drop((transform, strict));
    world.host.forget("plugin");
    assert!(world.host.snapshot("plugin").is_none());
}

#[test]
fn an_exchange_is_no_transform() {
    let world = World::new();
    world.load_exchange(&Guest::new(Kind::Packed).component());
    let transform = world.host.transform("plugin", None);
    let (kind, text) = fault(transform.apply(&Origin::default(), None));
    assert_eq!(kind, Fault::NotLoaded);
    assert_eq!(text, "it does not export transform");
}
