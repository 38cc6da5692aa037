//! From the protocol header to an open connection, and the ways that end before.

use std::time::{Duration, Instant};

use amphora_protocol::connection::{Connection, Event, Offer};
use amphora_protocol::exception::ConnectionException;
use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER};
use amphora_protocol::wire::method::{channel, connection, queue};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ChannelNumber, VhostName};
use expect_test::{Expect, expect};

use crate::samples::{self, short};
use crate::session::{Session, server_lines};

fn open() -> connection::Open {
    connection::Open {
        virtual_host: VhostName::new("/").unwrap(),
    }
}

#[test]
fn the_common_handshake() {
    let mut session = Session::new(Offer::default());
    session.hear(&PROTOCOL_HEADER);
    session.say(0, &samples::start_ok());
    session.say(
        0,
        &connection::TuneOk {
            channel_max: 9,
            frame_max: 8192,
            heartbeat: 10,
        },
    );
    session.say(0, &open());
    session.check(expect![[r#"
        C AMQP\x00\x00\t\x01
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        C 0 connection.start-ok
        E Login { mechanism: "PLAIN", response: b"\0guest\0guest", locale: "en_US" }
        S 0 connection.tune { channel_max: 2047, frame_max: 131072, heartbeat: 60 }
        C 0 connection.tune-ok
        C 0 connection.open
        E Open { vhost: "/" }
        S 0 connection.open-ok
    "#]]);
    assert_eq!(session.connection.tuned().frame_max, 8192);
    assert_eq!(session.connection.tuned().channel_max, 9);
    assert_eq!(
        session.connection.tuned().heartbeat,
        Duration::from_secs(10)
    );
}

#[test]
fn a_client_may_say_everything_at_once() {
    let mut said = PROTOCOL_HEADER.to_vec();
    frame::write_method_frame(ChannelNumber(0), &samples::start_ok(), &mut said);
    frame::write_method_frame(ChannelNumber(0), &samples::tune_ok(), &mut said);
    frame::write_method_frame(ChannelNumber(0), &open(), &mut said);
    frame::write_method_frame(ChannelNumber(1), &channel::Open {}, &mut said);
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&said);
    session.check(expect![[r#"
        E Login { mechanism: "PLAIN", response: b"\0guest\0guest", locale: "en_US" }
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        S 0 connection.tune { channel_max: 2047, frame_max: 131072, heartbeat: 60 }
        E Open { vhost: "/" }
        S 0 connection.open-ok
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
    "#]]);
}

fn check_header(header: &[u8], expected: Expect) {
    let mut session = Session::new(Offer::default());
    session.hear(header);
    session.check(expected);
}

#[test]
fn other_protocols_are_told_ours() {
    check_header(
        b"AMQP\x01\x01\x00\x09",
        expect![[r#"
        C AMQP\x01\x01\x00\t
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
    "#]],
    );
    check_header(
        b"AMQP\x00\x01\x00\x00",
        expect![[r#"
            C AMQP\x00\x01\x00\x00
            S AMQP\x00\x00\t\x01
            ! drop: bad protocol header AMQP\x00\x01\x00\x00
        "#]],
    );
    check_header(
        b"AMQP\x00\x00\x08\x00",
        expect![[r#"
            C AMQP\x00\x00\x08\x00
            S AMQP\x00\x00\t\x01
            ! drop: bad protocol header AMQP\x00\x00\x08\x00
        "#]],
    );
    check_header(
        b"GET / HTTP/1.1\r\n",
        expect![[r#"
        C GET / HTTP/1.1\r\n
        S AMQP\x00\x00\t\x01
        ! drop: this looks like an HTTP request on the AMQP port
    "#]],
    );
    check_header(
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        expect![[r#"
        C \x16\x03\x01\x02\x00\x01\x00\x01
        S AMQP\x00\x00\t\x01
        ! drop: this looks like a TLS client on the plain AMQP port
    "#]],
    );
}

#[test]
fn nothing_is_said_before_the_header_is_known() {
    let mut connection = Connection::new(Offer::default(), Instant::now());
    let (mut used, mut out) = (0, Vec::new());
    for end in 0..PROTOCOL_HEADER.len() {
        assert_eq!(
            connection.next(&PROTOCOL_HEADER[..end], &mut used, &mut out),
            Ok(None)
        );
        assert_eq!((used, connection.wanted()), (0, PROTOCOL_HEADER.len()));
    }
    assert!(out.is_empty());
}

fn with_capabilities(capabilities: FieldTable) -> connection::StartOk {
    let mut client_properties = FieldTable::new();
    client_properties.insert(short("connection_name"), "billing");
    client_properties.insert(short("capabilities"), capabilities);
    connection::StartOk {
        client_properties,
        ..samples::start_ok()
    }
}

#[test]
fn the_client_says_what_it_can() {
    let mut capabilities = FieldTable::new();
    capabilities.insert(short("basic.nack"), true);
    capabilities.insert(short("connection.blocked"), true);
    capabilities.insert(short("consumer_cancel_notify"), false);
    capabilities.insert(short("publisher_confirms"), 1_i32);
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session.say(0, &with_capabilities(capabilities));
    let client = session.connection.client();
    assert_eq!(client.connection_name.as_deref(), Some("billing"));
    assert!(client.basic_nack && client.connection_blocked);
    assert!(!client.consumer_cancel_notify && !client.publisher_confirms);
    assert!(!client.authentication_failure_close && !client.exchange_exchange_bindings);
    assert_eq!(
        client
            .table
            .get("connection_name")
            .and_then(FieldValue::as_str),
        Some("billing")
    );
}

/// A login that is refused, as the client sees it.
fn refused_login(capabilities: FieldTable) -> (bool, Vec<String>, Connection) {
    let now = Instant::now();
    let mut connection = Connection::new(Offer::default(), now);
    let mut said = PROTOCOL_HEADER.to_vec();
    frame::write_method_frame(
        ChannelNumber(0),
        &with_capabilities(capabilities),
        &mut said,
    );
    let (mut used, mut out) = (0, Vec::new());
    let login = connection.next(&said, &mut used, &mut out).unwrap();
    assert!(matches!(login, Some(Event::Login { .. })));
    assert_eq!(connection.next(&said, &mut used, &mut out), Ok(None));
    out.clear();
    let told = connection.refuse_login("Login was refused", &mut out);
    (told, server_lines(&out), connection)
}

#[test]
fn a_refused_client_is_told_if_it_understands() {
    let mut capabilities = FieldTable::new();
    capabilities.insert(short("authentication_failure_close"), true);
    let (told, lines, _) = refused_login(capabilities);
    assert!(told);
    expect![[r#"
        [
            "0 connection.close { reply_code: 403, reply_text: \"ACCESS_REFUSED - Login was refused\", class_id: 10, method_id: 11 }",
        ]
    "#]].assert_debug_eq(&lines);
}

#[test]
fn a_refused_client_that_would_not_understand_is_left_waiting() {
    let (told, lines, mut connection) = refused_login(FieldTable::new());
    assert!(!told && lines.is_empty());
    let now = connection.deadline().unwrap();
    connection
        .on_timer(now, false, false, &mut Vec::new())
        .unwrap();
    let deadline = connection.deadline().unwrap();
    assert_eq!(deadline - now, Duration::from_secs(3));
    assert!(
        connection
            .on_timer(deadline, false, false, &mut Vec::new())
            .is_err()
    );
}

#[test]
fn a_mechanism_that_was_not_offered_is_refused() {
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session.say(
        0,
        &connection::StartOk {
            mechanism: short("MAGIC"),
            ..samples::start_ok()
        },
    );
    session.check(expect![[r#"
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        C 0 connection.start-ok
        S 0 connection.close { reply_code: 503, reply_text: "COMMAND_INVALID - unknown authentication mechanism 'MAGIC'", class_id: 10, method_id: 11 }
        ! close: 503 COMMAND_INVALID - unknown authentication mechanism 'MAGIC'
    "#]]);
}

fn check_tune_ok(offer: Offer, channel_max: u16, frame_max: u32, expected: Expect) {
    let mut session = Session::new(offer);
    session.hear_bytes(&PROTOCOL_HEADER);
    session.say(0, &samples::start_ok());
    let mut out = Vec::new();
    let mut said = Vec::new();
    let tune_ok = connection::TuneOk {
        channel_max,
        frame_max,
        heartbeat: 0,
    };
    frame::write_method_frame(ChannelNumber(0), &tune_ok, &mut said);
    let result = session.connection.next(&said, &mut 0, &mut out);
    expected.assert_eq(&result.map_or_else(|failure| failure.to_string(), |_| "fine".to_owned()));
}

#[test]
fn limits_are_negotiated_downwards_only() {
    let small = || Offer {
        channel_max: 5,
        frame_max: 8192,
        ..Offer::default()
    };
    let endless = || Offer {
        channel_max: 0,
        frame_max: 0,
        ..Offer::default()
    };
    check_tune_ok(small(), 5, 8192, expect!["fine"]);
    check_tune_ok(small(), 1, 4096, expect!["fine"]);
    check_tune_ok(
        small(),
        5,
        4095,
        expect![
            "530 NOT_ALLOWED - negotiated frame_max = 4095 is lower than the minimum allowed value (4096)"
        ],
    );
    check_tune_ok(
        small(),
        5,
        8193,
        expect![
            "530 NOT_ALLOWED - negotiated frame_max = 8193 is higher than the maximum allowed value (8192)"
        ],
    );
    check_tune_ok(
        small(),
        5,
        0,
        expect![
            "530 NOT_ALLOWED - negotiated frame_max = 0 is higher than the maximum allowed value (8192)"
        ],
    );
    check_tune_ok(
        small(),
        6,
        8192,
        expect![
            "530 NOT_ALLOWED - negotiated channel_max = 6 is higher than the maximum allowed value (5)"
        ],
    );
    check_tune_ok(
        small(),
        0,
        8192,
        expect![
            "530 NOT_ALLOWED - negotiated channel_max = 0 is higher than the maximum allowed value (5)"
        ],
    );
    check_tune_ok(endless(), 0, 8192, expect!["fine"]);
    check_tune_ok(
        endless(),
        65_535,
        u32::MAX,
        expect![
            "530 NOT_ALLOWED - negotiated frame_max = 4294967295 is higher than the maximum allowed value (67108864)"
        ],
    );
}

#[test]
fn a_frame_above_the_initial_limit_is_refused() {
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session.hear(&[1, 0, 0, 0, 0, 0x20, 1]);
    session.hear(b"nothing of this is read");
    session.pass(Duration::from_secs(4));
    session.check(expect![[r#"
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        C \x01\x00\x00\x00\x00 \x01
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}", class_id: 0, method_id: 0 }
        ! close: 501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,8193,8184}
        C nothing of this is read
        … 4s
        ! drop: the client did not finish closing in time
    "#]]);
}

#[test]
fn a_virtual_host_may_be_refused() {
    let mut connection = Session::new(Offer::default());
    connection.hear_bytes(&PROTOCOL_HEADER);
    connection.say(0, &samples::start_ok());
    connection.say(0, &samples::tune_ok());
    let mut said = Vec::new();
    frame::write_method_frame(ChannelNumber(0), &open(), &mut said);
    let (mut used, mut out) = (0, Vec::new());
    let event = connection
        .connection
        .next(&said, &mut used, &mut out)
        .unwrap();
    assert_eq!(
        event,
        Some(Event::Open {
            vhost: VhostName::new("/").unwrap()
        })
    );
    let exception = ConnectionException::not_allowed("vhost / not found").at(10, 40);
    connection.connection.close(exception, &mut out);
    expect![[r#"
        [
            "0 connection.close { reply_code: 530, reply_text: \"NOT_ALLOWED - vhost / not found\", class_id: 10, method_id: 40 }",
        ]
    "#]].assert_debug_eq(&server_lines(&out));
    out.clear();
    connection.connection.accept_open(&mut out);
    assert!(out.is_empty());
}

#[test]
fn the_handshake_has_a_deadline() {
    let offer = Offer {
        handshake_timeout: Duration::from_secs(10),
        ..Offer::default()
    };
    let mut session = Session::new(offer);
    session.hear_bytes(&PROTOCOL_HEADER);
    session.pass(Duration::from_secs(9));
    session.say(0, &samples::start_ok());
    session.pass(Duration::from_secs(2));
    session.check(expect![[r#"
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        … 9s
        C 0 connection.start-ok
        E Login { mechanism: "PLAIN", response: b"\0guest\0guest", locale: "en_US" }
        S 0 connection.tune { channel_max: 2047, frame_max: 131072, heartbeat: 60 }
        … 2s
        ! drop: the handshake took too long
    "#]]);
}

#[test]
fn methods_before_their_time_are_refused() {
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session.say(0, &queue::Declare::default());
    session.check(expect![[r#"
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        C 0 queue.declare
        S 0 connection.close { reply_code: 504, reply_text: "CHANNEL_ERROR - unexpected method in connection state starting", class_id: 50, method_id: 10 }
        ! close: 504 CHANNEL_ERROR - unexpected method in connection state starting
    "#]]);

    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session.say(1, &channel::Open {});
    session.check(expect![[r#"
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        C 1 channel.open
        S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>", class_id: 0, method_id: 0 }
        ! close: 505 UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>>
    "#]]);
}

#[test]
fn a_client_may_give_up_at_any_time() {
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session.say(0, &samples::start_ok());
    session.say(
        0,
        &connection::Close {
            reply_code: 200,
            ..connection::Close::default()
        },
    );
    session.check(expect![[r#"
        S 0 connection.start { version_major: 0, version_minor: 9, server_properties: FieldTable { fields: [] }, mechanisms: b"PLAIN AMQPLAIN", locales: b"en_US" }
        C 0 connection.start-ok
        E Login { mechanism: "PLAIN", response: b"\0guest\0guest", locale: "en_US" }
        S 0 connection.tune { channel_max: 2047, frame_max: 131072, heartbeat: 60 }
        C 0 connection.close
        E Close { reply_code: 200, reply_text: "" }
        S 0 connection.close-ok
    "#]]);
}
