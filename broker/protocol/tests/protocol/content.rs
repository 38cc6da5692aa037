//! Publishes: side by side, in pieces, between each other, and wrong.

use std::iter;

use amphora_protocol::connection::{Content, Event, Offer, Publish};
use amphora_protocol::exception::ChannelException;
use amphora_protocol::limits::{BODY_SIZE_MAX, INLINE_MESSAGE_MAX};
use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{basic, channel, connection};
use amphora_protocol::wire::types::ChannelNumber;
use expect_test::expect;

use crate::samples;
use crate::session::Session;

/// A publish as a client writes it.
fn publish(channel: u16, body: &[u8], frame_max: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write_method_frame(ChannelNumber(channel), &samples::publish(), &mut bytes);
    frame::write_content(
        ChannelNumber(channel),
        b"\x10\0\x02",
        body,
        frame_max,
        &mut bytes,
    );
    bytes
}

fn header(body_size: u64) -> Vec<u8> {
    let mut payload = b"\0\x3c\0\0".to_vec();
    payload.extend_from_slice(&body_size.to_be_bytes());
    payload.extend_from_slice(b"\0\0");
    payload
}

#[test]
fn side_by_side_nothing_is_copied() {
    let mut session = Session::with_channel();
    session.hear_bytes(&[publish(1, b"one", 131_072), publish(1, b"", 131_072)].concat());
    session.check(expect![[r#"
        E 1 inline "ex" "a.b" 3: one
        E 1 inline "ex" "a.b" 0: 
    "#]]);
}

#[test]
fn the_pieces_of_an_inline_publish_are_those_on_the_wire() {
    let session = Session::with_channel();
    let input = publish(1, b"body", 131_072);
    let mut used = 0;
    let publish = session.connection.next_publish(&input, &mut used).unwrap();
    assert_eq!(used, input.len());
    assert_eq!(
        (publish.channel, publish.mandatory),
        (ChannelNumber(1), true)
    );
    let Content::Inline {
        target,
        properties,
        body,
    } = publish.content
    else {
        panic!()
    };
    assert_eq!(target, b"\x02ex\x03a.b");
    assert_eq!(properties, b"\x10\0\x02");
    assert_eq!(body, b"body");
    assert_eq!(
        publish.content.raw_properties().delivery_mode(),
        Ok(Some(2))
    );
}

#[test]
fn what_repeats_a_publish_would_be_read_as_one_with_another_body() {
    arbtest::arbtest(|u| {
        let mut input = Vec::new();
        for _ in 0..u.int_in_range(0..=12)? {
            let body: &[u8] = u.choose(&[&b""[..], b"a", b"b", b"\xce", b"long"])?;
            // The second channel is not open.
            let channel = if u.ratio(1, 12)? { 2 } else { 1 };
            input.extend(publish(channel, body, 131_072));
        }
        let damaged = !input.is_empty() && u.ratio(1, 3)?;
        if damaged {
            let at = u.choose_index(input.len())?;
            input[at] ^= 1 << u.int_in_range(0..=7)?;
        }
        input.truncate(u.int_in_range(0..=input.len())?);
        let connection = Session::with_channel().connection;
        let mut used = 0;
        loop {
            let start = used;
            let Some(publish) = connection.next_publish(&input, &mut used) else {
                return Ok(());
            };
            let most = u.int_in_range(0..=5)?;
            let is_like = |next: &Publish<'_>| {
                let (one, other) = (&publish.content, &next.content);
                (publish.channel, publish.mandatory) == (next.channel, next.mandatory)
                    && one.target() == other.target()
                    && one.properties() == other.properties()
                    && one.body().len() == other.body().len()
            };
            let mut end = used;
            let like = iter::from_fn(|| connection.next_publish(&input, &mut end))
                .take(most)
                .take_while(is_like)
                .count();
            let repeats = publish.repeats(&input[start..], used - start, most);
            // Octets that mean nothing may be damaged, and then differ nevertheless.
            assert!(repeats == like || damaged && repeats < like);
        }
    });
}

#[test]
fn a_publish_that_is_cut_stays_where_it_is() {
    let mut session = Session::with_channel();
    let input = publish(1, b"body", 131_072);
    let method_len = input.iter().position(|octet| *octet == frame::END).unwrap() + 1;
    let mut wanted_before = 0;
    for end in method_len..input.len() {
        let (mut used, mut out) = (0, Vec::new());
        assert_eq!(
            session.connection.next(&input[..end], &mut used, &mut out),
            Ok(None),
            "{end}"
        );
        assert_eq!(used, 0);
        let wanted = session.connection.wanted();
        assert!(end < wanted && wanted <= input.len() && wanted >= wanted_before);
        wanted_before = wanted;
    }
}

#[test]
fn a_publish_that_is_too_long_to_wait_for_is_assembled() {
    let limits = connection::TuneOk {
        frame_max: 1_000_000,
        ..samples::tune_ok()
    };
    let offer = Offer {
        frame_max: 1_000_000,
        ..Offer::default()
    };
    let mut session = Session::tuned(offer, &limits);
    session.say(1, &channel::Open {});
    let input = publish(1, &vec![b'x'; INLINE_MESSAGE_MAX], 1_000_000);
    session.hear_bytes(&input[..100]);
    session.hear_bytes(&input[100..]);
    session.remark("but if it is there, it is taken");
    session.hear_bytes(&input);
    session.check(expect![[r#"
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
        E 1 assembled "ex" "a.b" 262144: xxxxxxxxxxxxxxxx
        # but if it is there, it is taken
        E 1 inline "ex" "a.b" 262144: xxxxxxxxxxxxxxxx
    "#]]);
}

#[test]
fn a_body_may_come_in_pieces() {
    let mut session = Session::with_channel();
    session.hear_bytes(&publish(1, b"in several pieces", 8 + 5));
    session.remark("pieces may be empty");
    session.say(1, &samples::publish());
    session.say_frame(frame::HEADER, 1, &header(2));
    session.say_frame(frame::BODY, 1, b"");
    session.say_frame(frame::BODY, 1, b"ab");
    session.check(expect![[r#"
        E 1 assembled "ex" "a.b" 17: in several piece
        # pieces may be empty
        C 1 basic.publish
        C 1 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]
        C 1 frame 3 []
        C 1 frame 3 [97, 98]
        E 1 assembled "ex" "a.b" 2: ab
    "#]]);
    assert_eq!(session.connection.held(), 0);
}

#[test]
fn channels_may_publish_at_the_same_time() {
    let mut session = Session::with_channel();
    session.say(2, &channel::Open {});
    session.say(1, &samples::publish());
    session.say(2, &samples::publish());
    session.say_frame(frame::HEADER, 1, &header(4));
    session.say_frame(frame::HEARTBEAT, 0, b"");
    session.say_frame(frame::BODY, 1, b"on");
    session.say_frame(frame::HEADER, 2, &header(3));
    session.say_frame(frame::BODY, 2, b"two");
    session.hear_bytes(&publish(2, b"whole", 131_072));
    session.say_frame(frame::BODY, 1, b"e!");
    session.check(expect![[r#"
        C 2 channel.open
        E ChannelOpen(ChannelNumber(2))
        S 2 channel.open-ok
        C 1 basic.publish
        C 2 basic.publish
        C 1 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0]
        C 0 frame 8 []
        C 1 frame 3 [111, 110]
        C 2 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0]
        C 2 frame 3 [116, 119, 111]
        E 2 assembled "ex" "a.b" 3: two
        E 2 inline "ex" "a.b" 5: whole
        C 1 frame 3 [101, 33]
        E 1 assembled "ex" "a.b" 4: one!
    "#]]);
}

#[test]
fn a_channel_may_be_closed_in_mid_publish() {
    let mut session = Session::with_channel();
    session.say(1, &samples::publish());
    session.say_frame(frame::HEADER, 1, &header(10));
    session.say_frame(frame::BODY, 1, b"some");
    assert_eq!(session.connection.held(), 7 + 2 + 4);
    session.raise(1, ChannelException::not_found("gone"));
    assert_eq!(session.connection.held(), 0);
    session.say_frame(frame::BODY, 1, b"more");
    session.say(1, &channel::CloseOk {});
    session.say(1, &channel::Open {});
    session.hear_bytes(&publish(1, b"again", 131_072));
    session.check(expect![[r#"
        C 1 basic.publish
        C 1 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0]
        C 1 frame 3 [115, 111, 109, 101]
        S 1 channel.close { reply_code: 404, reply_text: "NOT_FOUND - gone", class_id: 0, method_id: 0 }
        C 1 frame 3 [109, 111, 114, 101]
        C 1 channel.close-ok
        E ChannelReleased(ChannelNumber(1))
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
        E 1 inline "ex" "a.b" 5: again
    "#]]);
}

#[test]
fn a_message_above_the_configured_size_costs_the_channel() {
    let mut session = Session::open(Offer {
        message_size_max: 4,
        ..Offer::default()
    });
    session.say(1, &channel::Open {});
    session.hear_bytes(&publish(1, b"four", 131_072));
    session.hear_bytes(&publish(1, b"fives", 131_072));
    session.say(1, &channel::CloseOk {});
    session.check(expect![[r#"
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
        E 1 inline "ex" "a.b" 4: four
        E Refused { channel: ChannelNumber(1), exception: ChannelException { code: PreconditionFailed, text: "message size 5 is larger than configured max size 4", class_id: 60, method_id: 40 } }
        S 1 channel.close { reply_code: 406, reply_text: "PRECONDITION_FAILED - message size 5 is larger than configured max size 4", class_id: 60, method_id: 40 }
        C 1 channel.close-ok
        E ChannelReleased(ChannelNumber(1))
    "#]]);
}

#[test]
fn a_message_above_the_protocols_size_costs_the_connection() {
    let offer = Offer {
        message_size_max: u64::MAX,
        ..Offer::default()
    };
    let mut session = Session::open(offer);
    session.say(1, &channel::Open {});
    session.say(1, &samples::publish());
    session.say_frame(frame::HEADER, 1, &header(BODY_SIZE_MAX + 1));
    session.check(expect![[r#"
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
        C 1 basic.publish
        C 1 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 32, 0, 0, 1, 0, 0]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912", class_id: 60, method_id: 40 }
        ! close: 501 FRAME_ERROR - content body size 536870913 exceeds maximum allowed size 536870912
    "#]]);
}

#[test]
fn a_connection_holds_so_many_messages_and_no_more() {
    let mut session = Session::open(Offer {
        message_size_max: 5000,
        ..Offer::default()
    });
    for channel in 1..=9 {
        session.say(channel, &channel::Open {});
        session.say(channel, &samples::publish());
        session.say_frame(frame::HEADER, channel, &header(5000));
        session.hear_bytes(&{
            let mut frame = Vec::new();
            frame::write_frame(
                frame::BODY,
                ChannelNumber(channel),
                &[b'x'; 4980],
                &mut frame,
            );
            frame
        });
    }
    let transcript = session.transcript();
    let last = transcript.lines().last().unwrap();
    expect![
        "! close: 506 RESOURCE_ERROR - too many messages are published at once on this connection"
    ]
    .assert_eq(last);
    assert_eq!(transcript.matches('!').count(), 1);
}

/// What is wrong, and the frames that come after the publish.
type Wrong = (&'static str, &'static [(u8, &'static [u8])]);

const TWO_OCTETS_DUE: (u8, &[u8]) = (frame::HEADER, b"\0\x3c\0\0\0\0\0\0\0\0\0\x02\0\0");

const TX_SELECT: (u8, &[u8]) = (frame::METHOD, b"\0\x5a\0\x0a");

const WRONG: [Wrong; 10] = [
    ("a body instead of a header", &[(frame::BODY, b"x")]),
    ("a method instead of a header", &[TX_SELECT]),
    (
        "another class",
        &[(frame::HEADER, b"\0\x3d\0\0\0\0\0\0\0\0\0\0\0\0")],
    ),
    (
        "a weight",
        &[(frame::HEADER, b"\0\x3c\0\x01\0\0\0\0\0\0\0\0\0\0")],
    ),
    (
        "no flags",
        &[(frame::HEADER, b"\0\x3c\0\0\0\0\0\0\0\0\0\0")],
    ),
    (
        "properties cut short",
        &[(frame::HEADER, b"\0\x3c\0\0\0\0\0\0\0\0\0\0\x80\0\x05ab")],
    ),
    ("a header cut short", &[(frame::HEADER, b"\0\x3c\0\0")]),
    ("a method instead of a body", &[TWO_OCTETS_DUE, TX_SELECT]),
    ("a second header", &[TWO_OCTETS_DUE, TWO_OCTETS_DUE]),
    ("a body too long", &[TWO_OCTETS_DUE, (frame::BODY, b"abc")]),
];

#[test]
fn the_wrong_content_is_refused() {
    let mut lines = String::new();
    for (what, frames) in WRONG {
        let mut session = Session::with_channel();
        session.say(1, &samples::publish());
        for (kind, payload) in frames {
            session.say_frame(*kind, 1, payload);
        }
        let answer = session
            .transcript()
            .lines()
            .rfind(|line| line.starts_with('S'))
            .unwrap_or("nothing");
        lines += &format!("{what}\n    {answer}\n");
    }
    expect![[r#"
        a body instead of a header
            S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead", class_id: 60, method_id: 40 }
        a method instead of a header
            S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead", class_id: 60, method_id: 40 }
        another class
            S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected content header for class 60, got one for class 61 instead", class_id: 60, method_id: 40 }
        a weight
            S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead", class_id: 60, method_id: 40 }
        no flags
            S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - cannot decode content properties: the value is cut short", class_id: 60, method_id: 40 }
        properties cut short
            S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - cannot decode content properties: the value is cut short", class_id: 60, method_id: 40 }
        a header cut short
            S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - type 2, all octets = <<0,60,0,0>>: unknown_frame", class_id: 0, method_id: 0 }
        a method instead of a body
            S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected content body, got non content body frame instead", class_id: 60, method_id: 40 }
        a second header
            S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected content body, got non content body frame instead", class_id: 60, method_id: 40 }
        a body too long
            S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - content body frame exceeds remaining content size", class_id: 60, method_id: 40 }
    "#]].assert_eq(&lines);
}

#[test]
fn content_without_a_publish_is_refused() {
    let mut session = Session::with_channel();
    session.say_frame(frame::HEADER, 1, &header(0));
    session.check(expect![[r#"
        C 1 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - expected method frame, got non method frame instead", class_id: 0, method_id: 0 }
        ! close: 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead
    "#]]);

    let mut session = Session::with_channel();
    session.say_frame(frame::BODY, 0, b"0123456789abcdef and more");
    session.check(expect![[r#"
        C 0 frame 3 [48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102, 32, 97, 110, 100, 32, 109, 111, 114, 101]
        S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - type 3, first 16 octets = <<\"0123456789abcdef\">>", class_id: 0, method_id: 0 }
        ! close: 505 UNEXPECTED_FRAME - type 3, first 16 octets = <<"0123456789abcdef">>
    "#]]);
}

#[test]
fn immediate_is_no_longer_implemented() {
    let mut session = Session::with_channel();
    session.say(
        1,
        &basic::Publish {
            immediate: true,
            ..samples::publish()
        },
    );
    session.check(expect![[r#"
        C 1 basic.publish
        S 0 connection.close { reply_code: 540, reply_text: "NOT_IMPLEMENTED - immediate=true", class_id: 60, method_id: 40 }
        ! close: 540 NOT_IMPLEMENTED - immediate=true
    "#]]);
}

#[test]
fn names_that_are_not_utf8_are_found_out_when_they_are_asked_for() {
    let mut session = Session::with_channel();
    let mut input = publish(1, b"x", 131_072);
    let at = input
        .windows(3)
        .position(|window| window == b"a.b")
        .unwrap();
    input[at] = 0xFF;
    let event = session
        .connection
        .next(&input, &mut 0, &mut Vec::new())
        .unwrap();
    let Some(Event::Publish(publish)) = event else {
        panic!()
    };
    let refused = publish.content.names().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "501 FRAME_ERROR - Malformed UTF-8 in shortstr"
    );
    assert_eq!((refused.class_id, refused.method_id), (60, 40));
}
