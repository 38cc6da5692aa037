//! How a connection ends.

use std::time::Duration;

use amphora_protocol::connection::Offer;
use amphora_protocol::exception::ConnectionException;
use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{channel, connection};
use expect_test::expect;

use crate::samples::{self, short};
use crate::session::Session;

fn close() -> connection::Close {
    connection::Close {
        reply_code: 200,
        reply_text: short("Goodbye"),
        class_id: 0,
        method_id: 0,
    }
}

#[test]
fn the_client_closes() {
    let mut session = Session::with_channel();
    session.say(0, &close());
    session.say(1, &samples::publish());
    session.say(0, &close());
    session.pass(Duration::from_secs(31));
    session.check(expect![[r#"
        C 0 connection.close
        E Close { reply_code: 200, reply_text: "Goodbye" }
        S 0 connection.close-ok
        C 1 basic.publish
        C 0 connection.close
        … 31s
        ! drop: the client did not finish closing in time
    "#]]);
}

#[test]
fn the_server_closes() {
    let mut session = Session::with_channel();
    let reason = ConnectionException::connection_forced("Closed via management plugin");
    session.raise(0, reason.clone());
    session.remark("once is enough");
    session.raise(0, reason);
    session.say(1, &samples::publish());
    session.say(1, &channel::Close::default());
    session.say_frame(99, 0, b"whatever");
    session.say_frame(frame::METHOD, 0, b"");
    session.say(0, &connection::CloseOk {});
    session.check(expect![[r#"
        S 0 connection.close { reply_code: 320, reply_text: "CONNECTION_FORCED - Closed via management plugin", class_id: 0, method_id: 0 }
        # once is enough
        C 1 basic.publish
        C 1 channel.close
        C 0 frame 99 [119, 104, 97, 116, 101, 118, 101, 114]
        C 0 frame 1 []
        C 0 connection.close-ok
        E CloseOk
    "#]]);
}

#[test]
fn both_close_at_the_same_time() {
    let mut session = Session::open(Offer::default());
    session.raise(0, ConnectionException::connection_forced("shutdown"));
    session.say(0, &close());
    session.say(0, &connection::CloseOk {});
    session.check(expect![[r#"
        S 0 connection.close { reply_code: 320, reply_text: "CONNECTION_FORCED - shutdown", class_id: 0, method_id: 0 }
        C 0 connection.close
        S 0 connection.close-ok
        C 0 connection.close-ok
        E CloseOk
    "#]]);
}

#[test]
fn a_client_that_never_answers_is_dropped() {
    let mut session = Session::open(Offer::default());
    session.raise(0, ConnectionException::connection_forced("shutdown"));
    session.pass(Duration::from_secs(29));
    session.pass(Duration::from_secs(2));
    session.check(expect![[r#"
        S 0 connection.close { reply_code: 320, reply_text: "CONNECTION_FORCED - shutdown", class_id: 0, method_id: 0 }
        … 29s
        … 2s
        ! drop: the client did not finish closing in time
    "#]]);
}

#[test]
fn lost_framing_ends_it_at_once() {
    let mut session = Session::with_channel();
    session.hear(b"\x01\0\x01\0\0\0\x04\0\x5a\0\x0a!");
    session.say(0, &connection::CloseOk {});
    session.pass(Duration::from_secs(4));
    session.check(expect![[r#"
        C \x01\x00\x01\x00\x00\x00\x04\x00Z\x00\n!
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - type 1, all octets = <<0,90,0,10>>: {invalid_frame_end_marker,33}", class_id: 0, method_id: 0 }
        ! close: 501 FRAME_ERROR - type 1, all octets = <<0,90,0,10>>: {invalid_frame_end_marker,33}
        C 0 connection.close-ok
        … 4s
        ! drop: the client did not finish closing in time
    "#]]);

    let mut session = Session::with_channel();
    session.hear(b"\x03\0\x01\x7f\xff\xff\xff");
    session.check(expect![[r#"
        C \x03\x00\x01\x7f\xff\xff\xff
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,2147483647,131064}", class_id: 0, method_id: 0 }
        ! close: 501 FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,2147483647,131064}
    "#]]);

    let mut session = Session::with_channel();
    session.raise(0, ConnectionException::connection_forced("shutdown"));
    session.hear(b"\x03\0\x01\x7f\xff\xff\xff");
    session.check(expect![[r#"
        S 0 connection.close { reply_code: 320, reply_text: "CONNECTION_FORCED - shutdown", class_id: 0, method_id: 0 }
        C \x03\x00\x01\x7f\xff\xff\xff
    "#]]);
}

#[test]
fn an_unknown_frame_is_refused() {
    let mut session = Session::with_channel();
    session.say_frame(9, 1, b"text");
    session.check(expect![[r#"
        C 1 frame 9 [116, 101, 120, 116]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - type 9, all octets = <<\"text\">>: unknown_frame", class_id: 0, method_id: 0 }
        ! close: 501 FRAME_ERROR - type 9, all octets = <<"text">>: unknown_frame
    "#]]);
}

#[test]
fn a_new_secret_is_the_brokers_to_judge() {
    let mut session = Session::open(Offer::default());
    session.say(
        0,
        &connection::UpdateSecret {
            new_secret: "token".into(),
            reason: short("expiry"),
        },
    );
    session.check(expect![[r#"
        C 0 connection.update-secret
        E Method(ChannelNumber(0), Connection(UpdateSecret(UpdateSecret { new_secret: b"token", reason: "expiry" })))
    "#]]);
}
