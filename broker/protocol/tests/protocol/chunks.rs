//! However the input is cut, the conversation is the same.

use amphora_protocol::connection::{Connection, Event, Failure, Offer};
use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{basic, channel, connection};
use amphora_protocol::wire::types::{ChannelNumber, DeliveryTag};
use arbtest::arbitrary::{self, Unstructured};

use crate::samples;
use crate::session::Session;

/// What a client may say on three channels, now and then something wrong, and the end.
fn any_script(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
    let mut said = Vec::new();
    for channel in 1..=3 {
        frame::write_method_frame(ChannelNumber(channel), &channel::Open {}, &mut said);
    }
    for _ in 0..u.int_in_range(0..=20)? {
        let channel = ChannelNumber(u.int_in_range(1..=3)?);
        let body = vec![b'x'; u.int_in_range(0..=200)?];
        let frame_max = u.int_in_range(20..=220)?;
        match u.int_in_range(0..=20)? {
            0..=9 => {
                frame::write_method_frame(channel, &samples::publish(), &mut said);
                frame::write_content(channel, b"\x10\0\x02", &body, frame_max, &mut said);
            }
            10..=12 => {
                let ack = basic::Ack {
                    delivery_tag: DeliveryTag(u.arbitrary()?),
                    multiple: false,
                };
                frame::write_method_frame(channel, &ack, &mut said);
            }
            13 | 14 => frame::write_heartbeat(&mut said),
            15 => {
                let other = ChannelNumber(channel.0 % 3 + 1);
                frame::write_method_frame(channel, &samples::publish(), &mut said);
                frame::write_method_frame(other, &channel::Flow { active: true }, &mut said);
                frame::write_content(channel, b"\0\0", &body, frame_max, &mut said);
            }
            16 => {
                frame::write_method_frame(channel, &channel::Close::default(), &mut said);
                frame::write_method_frame(channel, &channel::Open {}, &mut said);
            }
            17 => frame::write_method_frame(channel, &samples::publish(), &mut said),
            18 => frame::write_header_frame(channel, body.len() as u64, b"\0\0", &mut said),
            19 => frame::write_body_frames(channel, &body, frame_max, &mut said),
            _ => said.push(u.arbitrary()?),
        }
    }
    frame::write_method_frame(ChannelNumber(0), &connection::Close::default(), &mut said);
    Ok(said)
}

/// What the broker is told and what it answers.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    events: Vec<String>,
    out: Vec<u8>,
}

/// Reads everything that can be read, and returns how much that was.
fn read(connection: &mut Connection, input: &[u8], heard: &mut Heard) -> usize {
    let mut used = 0;
    loop {
        match connection.next(input, &mut used, &mut heard.out) {
            Ok(Some(Event::Publish(publish))) => {
                let (content, channel) = (&publish.content, publish.channel);
                let names = content.names();
                let (properties, body) = (content.properties(), content.body());
                heard
                    .events
                    .push(format!("{channel} {names:?} {properties:?} {body:?}"));
            }
            Ok(Some(event)) => {
                heard.events.push(format!("{event:?}"));
                match event {
                    Event::ChannelOpen(channel) => {
                        connection.accept_channel(channel, &mut heard.out);
                    }
                    Event::ChannelClose { channel, .. } => {
                        connection.release_channel(channel, &mut heard.out);
                    }
                    Event::Refused { channel, exception } => {
                        connection.raise(channel, exception, &mut heard.out);
                    }
                    _ => {}
                }
            }
            Ok(None) => return used,
            Err(failure @ (Failure::Close(_) | Failure::Drop(_))) => {
                heard.events.push(failure.to_string());
            }
        }
    }
}

fn open_connection() -> Connection {
    Session::open(Offer {
        message_size_max: 180,
        ..Offer::default()
    })
    .connection
}

#[test]
fn any_cut_is_as_good_as_none() {
    arbtest::arbtest(|u| {
        let script = any_script(u)?;
        let mut whole = Heard::default();
        read(&mut open_connection(), &script, &mut whole);

        let mut cut = Heard::default();
        let mut connection = open_connection();
        let mut buffer = Vec::new();
        let mut rest = script.as_slice();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(u.int_in_range(1..=rest.len().min(40))?);
            rest = after;
            buffer.extend_from_slice(chunk);
            let used = read(&mut connection, &buffer, &mut cut);
            buffer.drain(..used);
        }
        assert_eq!(cut, whole);
        Ok(())
    });
}

#[test]
fn what_is_wanted_is_enough_and_less_is_not() {
    arbtest::arbtest(|u| {
        let script = any_script(u)?;
        let mut whole = Heard::default();
        read(&mut open_connection(), &script, &mut whole);

        let mut fed = Heard::default();
        let mut connection = open_connection();
        let mut buffer = Vec::new();
        let mut rest = script.as_slice();
        loop {
            let used = read(&mut connection, &buffer, &mut fed);
            buffer.drain(..used);
            let missing = connection.wanted().checked_sub(buffer.len()).unwrap();
            assert_ne!(missing, 0, "nothing more is wanted, and nothing is read");
            let Some((chunk, after)) = rest.split_at_checked(missing) else {
                break;
            };
            rest = after;
            buffer.extend_from_slice(chunk);
        }
        buffer.extend_from_slice(rest);
        read(&mut connection, &buffer, &mut fed);
        assert_eq!(fed, whole);
        Ok(())
    });
}
