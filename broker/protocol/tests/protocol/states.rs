//! Every method in every state: taken, discarded, or refused with which exception.

use std::collections::BTreeSet;

use amphora_protocol::connection::{Connection, Event, Failure, Offer};
use amphora_protocol::exception::{ChannelException, ConnectionException};
use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER};
use amphora_protocol::wire::method::{Method, basic, channel};
use amphora_protocol::wire::types::ChannelNumber;
use expect_test::expect_file;

use crate::samples;
use crate::session::{Session, server_lines};

/// A name, the channel on which a method comes, and what came before.
type State = (&'static str, u16, fn() -> Session);

const STATES: [State; 10] = [
    ("starting", 0, starting),
    ("tuning", 0, tuning),
    ("opening", 0, opening),
    ("running", 0, running),
    ("unopened", 1, running),
    ("open", 1, Session::with_channel),
    ("header due", 1, header_due),
    ("body due", 1, body_due),
    ("ch closing", 1, channel_closing),
    ("closing", 0, closing),
];

fn starting() -> Session {
    let mut session = Session::new(Offer::default());
    session.hear_bytes(&PROTOCOL_HEADER);
    session
}

fn tuning() -> Session {
    let mut session = starting();
    session.say(0, &samples::start_ok());
    session
}

fn opening() -> Session {
    let mut session = tuning();
    session.say(0, &samples::tune_ok());
    session
}

fn running() -> Session {
    Session::open(Offer::default())
}

fn header_due() -> Session {
    let mut session = Session::with_channel();
    session.say(1, &samples::publish());
    // Something of another channel, so that the publish is not waited for in the buffer.
    session.say(2, &channel::Open {});
    session
}

fn body_due() -> Session {
    let mut session = header_due();
    session.say_frame(frame::HEADER, 1, b"\0\x3c\0\0\0\0\0\0\0\0\0\x02\0\0");
    session
}

fn channel_closing() -> Session {
    let mut session = Session::with_channel();
    session.raise(1, ChannelException::not_found("no"));
    session
}

fn closing() -> Session {
    let mut session = running();
    session.raise(0, ConnectionException::connection_forced("no"));
    session
}

/// In a few letters, what comes of a method.
fn outcome(
    connection: &mut Connection,
    channel: u16,
    method: &Method,
    refusals: &mut BTreeSet<String>,
) -> String {
    let (mut said, mut out, mut used) = (Vec::new(), Vec::new(), 0);
    frame::write_method_frame(ChannelNumber(channel), method, &mut said);
    match connection.next(&said, &mut used, &mut out) {
        Ok(Some(event)) => match event {
            Event::Login { .. } => "Login".to_owned(),
            Event::Open { .. } => "Open".to_owned(),
            Event::ChannelOpen(_) => "ChOpen".to_owned(),
            Event::ChannelClose { .. } => "ChClose".to_owned(),
            Event::ChannelReleased(_) => "ChReleased".to_owned(),
            Event::Method(_, told) if told == *method => "Method".to_owned(),
            Event::Close { .. } => "Close".to_owned(),
            Event::CloseOk => "CloseOk".to_owned(),
            other => format!("{other:?}"),
        },
        Ok(None) if used < said.len() => "waits".to_owned(),
        Ok(None) => {
            let answers: Vec<_> = server_lines(&out)
                .iter()
                .map(|line| line.split(' ').nth(1).unwrap_or_default().to_owned())
                .collect();
            if answers.is_empty() {
                "-".to_owned()
            } else {
                answers.join(" ")
            }
        }
        Err(Failure::Close(exception)) => {
            assert_eq!(server_lines(&out).len(), 1);
            let blamed = [0, method.class_id(), basic::CLASS_ID];
            assert!(blamed.contains(&exception.class_id), "{exception:?}");
            refusals.insert(exception.to_string());
            exception.code.code().to_string()
        }
        Err(Failure::Drop(reason)) => reason.to_string(),
    }
}

#[test]
fn every_method_in_every_state() {
    let mut refusals = BTreeSet::new();
    let mut table = format!("{:28}", "");
    for (state, _, _) in STATES {
        table += &format!("{state:18}");
    }
    for method in samples::all() {
        table += &format!("\n{:28}", method.name());
        for (_, channel, session) in STATES {
            let outcome = outcome(&mut session().connection, channel, &method, &mut refusals);
            table += &format!("{outcome:18}");
        }
    }
    let lines: Vec<_> = table.lines().map(str::trim_end).collect();
    let refusals: Vec<_> = refusals.into_iter().collect();
    let text = format!("{}\n\n{}\n", lines.join("\n"), refusals.join("\n"));
    expect_file!["./states.txt"].assert_eq(&text);
}
