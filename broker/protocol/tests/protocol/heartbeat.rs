//! Signs of life in both directions.

use std::time::Duration;

use amphora_protocol::connection::Offer;
use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{channel, connection};
use expect_test::expect;

use crate::samples;
use crate::session::Session;

fn beating(heartbeat: u16) -> Session {
    let tune_ok = connection::TuneOk {
        heartbeat,
        ..samples::tune_ok()
    };
    let mut session = Session::tuned(Offer::default(), &tune_ok);
    // The first look at the clock starts it.
    session.pass(Duration::ZERO);
    session
}

#[test]
fn a_silent_client_is_dropped_after_two_intervals() {
    let mut session = beating(10);
    session.pass(Duration::from_secs(19));
    session.pass(Duration::from_secs(1));
    session.check(expect![[r#"
        … 0ns
        … 19s
        S heartbeat
        S heartbeat
        … 1s
        ! drop: missed heartbeats from the client
    "#]]);
}

#[test]
fn anything_that_is_heard_is_a_sign_of_life() {
    let mut session = beating(10);
    for _ in 0..3 {
        session.pass(Duration::from_secs(15));
        session.say_frame(frame::HEARTBEAT, 0, b"");
    }
    session.pass(Duration::from_secs(29));
    session.check(expect![[r#"
        … 0ns
        … 15s
        S heartbeat
        S heartbeat
        C 0 frame 8 []
        … 15s
        S heartbeat
        C 0 frame 8 []
        … 15s
        S heartbeat
        S heartbeat
        C 0 frame 8 []
        … 29s
        S heartbeat
        S heartbeat
        ! drop: missed heartbeats from the client
    "#]]);
}

#[test]
fn what_is_sent_anyway_saves_a_heartbeat() {
    let mut session = beating(10);
    session.pass(Duration::from_secs(4));
    session.say(1, &channel::Open {});
    session.pass(Duration::from_secs(4));
    session.pass(Duration::from_secs(4));
    session.check(expect![[r#"
        … 0ns
        … 4s
        C 1 channel.open
        E ChannelOpen(ChannelNumber(1))
        S 1 channel.open-ok
        … 4s
        … 4s
        S heartbeat
    "#]]);
}

#[test]
fn none_are_sent_if_none_are_wanted() {
    let mut session = beating(0);
    session.pass(Duration::from_secs(1_000_000));
    assert_eq!(session.connection.deadline(), None);
    session.check(expect![[r#"
        … 0ns
        … 1000000s
    "#]]);
}

#[test]
fn a_late_clock_counts_one_interval() {
    let mut session = beating(10);
    let late = session.now + Duration::from_mins(10);
    let mut out = Vec::new();
    assert_eq!(
        session.connection.on_timer(late, false, false, &mut out),
        Ok(())
    );
    assert_eq!(
        session.connection.deadline(),
        Some(late + Duration::from_secs(5))
    );
}

#[test]
fn a_heartbeat_belongs_on_channel_0_and_is_empty() {
    let mut session = Session::with_channel();
    session.say_frame(frame::HEARTBEAT, 1, b"");
    session.check(expect![[r#"
        C 1 frame 8 []
        S 0 connection.close { reply_code: 505, reply_text: "UNEXPECTED_FRAME - type 8, all octets = <<>>", class_id: 0, method_id: 0 }
        ! close: 505 UNEXPECTED_FRAME - type 8, all octets = <<>>
    "#]]);

    let mut session = Session::with_channel();
    session.say_frame(frame::HEARTBEAT, 0, b"x");
    session.check(expect![[r#"
        C 0 frame 8 [120]
        S 0 connection.close { reply_code: 501, reply_text: "FRAME_ERROR - type 8, all octets = <<\"x\">>: unknown_frame", class_id: 0, method_id: 0 }
        ! close: 501 FRAME_ERROR - type 8, all octets = <<"x">>: unknown_frame
    "#]]);
}
