//! Channels: opened, closed by either side, opened again.

use amphora_protocol::connection::Offer;
use amphora_protocol::exception::{ChannelException, ConnectionException};
use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{access, basic, channel, connection, queue};
use expect_test::expect;

use crate::samples::{self, short};
use crate::session::Session;

fn close() -> channel::Close {
    channel::Close {
        reply_code: 200,
        reply_text: short("Goodbye"),
        class_id: 0,
        method_id: 0,
    }
}

#[test]
fn a_channel_is_opened_and_closed_and_opened_again() {
    let mut session = Session::open(Offer::default());
    session.say(7, &channel::Open {});
    session.say(7, &queue::Declare::default());
    session.say(7, &close());
    session.say(7, &channel::Open {});
    session.check(expect![[r#"
        C 7 channel.open
        E ChannelOpen(ChannelNumber(7))
        S 7 channel.open-ok
        C 7 queue.declare
        E Method(ChannelNumber(7), Queue(Declare(Declare { queue: "", passive: false, durable: false, exclusive: false, auto_delete: false, no_wait: false, arguments: FieldTable { fields: [] } })))
        C 7 channel.close
        E ChannelClose { channel: ChannelNumber(7), reply_code: 200, reply_text: "Goodbye" }
        S 7 channel.close-ok
        C 7 channel.open
        E ChannelOpen(ChannelNumber(7))
        S 7 channel.open-ok
    "#]]);
}

#[test]
fn a_channel_must_be_opened_once() {
    let mut session = Session::open(Offer::default());
    session.say(7, &basic::Qos::default());
    session.check(expect![[r#"
        C 7 basic.qos
        S 0 connection.close { reply_code: 504, reply_text: "CHANNEL_ERROR - expected 'channel.open'", class_id: 60, method_id: 10 }
        ! close: 504 CHANNEL_ERROR - expected 'channel.open'
    "#]]);

    let mut session = Session::with_channel();
    session.say(1, &channel::Open {});
    session.check(expect![[r#"
        C 1 channel.open
        S 0 connection.close { reply_code: 504, reply_text: "CHANNEL_ERROR - second 'channel.open' seen", class_id: 20, method_id: 10 }
        ! close: 504 CHANNEL_ERROR - second 'channel.open' seen
    "#]]);
}

#[test]
fn only_open_channels_count() {
    let limits = connection::TuneOk {
        channel_max: 2,
        ..samples::tune_ok()
    };
    let mut session = Session::tuned(Offer::default(), &limits);
    session.say(1, &channel::Open {});
    session.say(65_535, &channel::Open {});
    session.say(1, &close());
    session.say(2, &channel::Open {});
    session.say(3, &channel::Open {});
    session.check(expect![[r#"
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
        C 65535 channel.open
        E ChannelOpen(ChannelNumber(65535))
        S 65535 channel.open-ok
        C 1 channel.close
        E ChannelClose { channel: ChannelNumber(1), reply_code: 200, reply_text: "Goodbye" }
        S 1 channel.close-ok
        C 2 channel.open
        E ChannelOpen(ChannelNumber(2))
        S 2 channel.open-ok
        C 3 channel.open
        S 0 connection.close { reply_code: 530, reply_text: "NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)", class_id: 20, method_id: 10 }
        ! close: 530 NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)
    "#]]);
}

#[test]
fn after_an_exception_everything_is_discarded_until_the_client_knows() {
    let mut session = Session::with_channel();
    session.raise(
        1,
        ChannelException::not_found("no queue 'q' in vhost '/'").at(60, 20),
    );
    session.remark("once is enough");
    session.raise(1, ChannelException::not_found("no queue 'r' in vhost '/'"));
    session.say(1, &samples::publish());
    session.say_frame(frame::HEADER, 1, b"\0\x3c\0\0\0\0\0\0\0\0\0\x01\0\0");
    session.say_frame(frame::BODY, 1, b"x");
    session.say(1, &basic::Deliver::default());
    session.say(1, &channel::Open {});
    session.say(2, &channel::Open {});
    session.say(1, &channel::CloseOk {});
    session.say(1, &channel::Open {});
    session.check(expect![[r#"
        S 1 channel.close { reply_code: 404, reply_text: "NOT_FOUND - no queue 'q' in vhost '/'", class_id: 60, method_id: 20 }
        # once is enough
        C 1 basic.publish
        C 1 frame 2 [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
        C 1 frame 3 [120]
        C 1 basic.deliver
        C 1 channel.open
        C 2 channel.open
        E ChannelOpen(ChannelNumber(2))
        S 2 channel.open-ok
        C 1 channel.close-ok
        E ChannelReleased(ChannelNumber(1))
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
    "#]]);
}

#[test]
fn both_sides_may_close_a_channel_at_the_same_time() {
    let mut session = Session::with_channel();
    session.raise(
        1,
        ChannelException::precondition_failed("unknown delivery tag 5").at(60, 80),
    );
    session.say(1, &close());
    session.say(1, &channel::CloseOk {});
    session.say(1, &channel::Open {});
    session.check(expect![[r#"
        S 1 channel.close { reply_code: 406, reply_text: "PRECONDITION_FAILED - unknown delivery tag 5", class_id: 60, method_id: 80 }
        C 1 channel.close
        S 1 channel.close-ok
        C 1 channel.close-ok
        E ChannelReleased(ChannelNumber(1))
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
    "#]]);
}

#[test]
fn an_exception_comes_too_late_for_a_closed_channel() {
    let mut session = Session::with_channel();
    session.say(1, &close());
    session.raise(
        1,
        ChannelException::not_found("no exchange 'x' in vhost '/'"),
    );
    session.check(expect![[r#"
        C 1 channel.close
        E ChannelClose { channel: ChannelNumber(1), reply_code: 200, reply_text: "Goodbye" }
        S 1 channel.close-ok
    "#]]);
}

#[test]
fn without_a_channel_it_is_the_connection_that_closes() {
    let mut session = Session::with_channel();
    session.raise(0, ChannelException::access_refused("no"));
    session.check(expect![[r#"
        S 0 connection.close { reply_code: 403, reply_text: "ACCESS_REFUSED - no", class_id: 0, method_id: 0 }
    "#]]);
}

#[test]
fn a_connection_exception_takes_all_channels_along() {
    let mut session = Session::with_channel();
    session.raise(
        1,
        ConnectionException::not_implemented("prefetch_size!=0 (1)").at(60, 10),
    );
    session.say(1, &samples::publish());
    session.say(0, &connection::CloseOk {});
    session.check(expect![[r#"
        S 0 connection.close { reply_code: 540, reply_text: "NOT_IMPLEMENTED - prefetch_size!=0 (1)", class_id: 60, method_id: 10 }
        C 1 basic.publish
        C 0 connection.close-ok
        E CloseOk
    "#]]);
}

#[test]
fn flow_and_tickets_need_no_decision() {
    let mut session = Session::with_channel();
    session.say(1, &channel::Flow { active: true });
    session.say(
        1,
        &access::Request {
            read: true,
            ..access::Request::default()
        },
    );
    session.say(1, &channel::Flow { active: false });
    session.check(expect![[r#"
        C 1 channel.flow
        S 1 channel.flow-ok { active: true }
        C 1 access.request
        S 1 access.request-ok { ticket: 1 }
        C 1 channel.flow
        S 0 connection.close { reply_code: 540, reply_text: "NOT_IMPLEMENTED - active=false", class_id: 20, method_id: 20 }
        ! close: 540 NOT_IMPLEMENTED - active=false
    "#]]);
}

#[test]
fn what_only_a_server_says_is_refused() {
    let mut session = Session::with_channel();
    session.say(1, &queue::DeclareOk::default());
    session.check(expect![[r#"
        C 1 queue.declare-ok
        S 0 connection.close { reply_code: 503, reply_text: "COMMAND_INVALID - unimplemented method", class_id: 50, method_id: 11 }
        ! close: 503 COMMAND_INVALID - unimplemented method
    "#]]);
}

#[test]
fn what_cannot_be_decoded_is_refused_with_the_method_named() {
    let payloads: [&[u8]; 6] = [
        b"\0\x3d\0\x0a",
        b"\0\x3c\0\x29",
        b"\0\x3c\0\x50\0\0\0",
        b"\0\x3c\0\x50\0\0\0\0\0\0\0\x01\0\0",
        b"\0\x32\0\x0a\0\0\x01\xff\0\0\0\0\0",
        b"\0\x32\0\x0a\0\0\0\0\0\0\0\x03\x01az",
    ];
    let mut transcripts = String::new();
    for payload in payloads {
        let mut session = Session::with_channel();
        session.say_frame(frame::METHOD, 1, payload);
        transcripts += session.transcript();
    }
    expect![[r#"
        C 1 frame 1 [0, 61, 0, 10]
        S 0 connection.close { reply_code: 540, reply_text: "NOT_IMPLEMENTED - unknown class 61", class_id: 61, method_id: 10 }
        ! close: 540 NOT_IMPLEMENTED - unknown class 61
        C 1 frame 1 [0, 60, 0, 41]
        S 0 connection.close { reply_code: 540, reply_text: "NOT_IMPLEMENTED - unknown method 41 of class 60", class_id: 60, method_id: 41 }
        ! close: 540 NOT_IMPLEMENTED - unknown method 41 of class 60
        C 1 frame 1 [0, 60, 0, 80, 0, 0, 0]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - cannot decode <<0,0,0>>", class_id: 60, method_id: 80 }
        ! close: 501 FRAME_ERROR - cannot decode <<0,0,0>>
        C 1 frame 1 [0, 60, 0, 80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,1,0,0>>", class_id: 60, method_id: 80 }
        ! close: 501 FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,1,0,0>>
        C 1 frame 1 [0, 50, 0, 10, 0, 0, 1, 255, 0, 0, 0, 0, 0]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - Malformed UTF-8 in shortstr", class_id: 50, method_id: 10 }
        ! close: 501 FRAME_ERROR - Malformed UTF-8 in shortstr
        C 1 frame 1 [0, 50, 0, 10, 0, 0, 0, 0, 0, 0, 0, 3, 1, 97, 122]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - unknown field type 122", class_id: 50, method_id: 10 }
        ! close: 501 FRAME_ERROR - unknown field type 122
    "#]].assert_eq(&transcripts);
}
