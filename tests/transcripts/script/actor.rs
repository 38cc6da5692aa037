//! A client that does what a script says, and otherwise what a client should.

use std::collections::{BTreeSet, VecDeque};

use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{Method, basic, channel, connection};
use amphora_protocol::wire::types::ChannelNumber;
use amphora_tests::{Client, Ended, Received};

use super::text;

/// The channel on which a client asks for nothing but an answer.
const SPARE: u16 = 2047;

#[derive(Debug)]
pub(super) struct Actor {
    client: Client,
    open: BTreeSet<u16>,
    /// The broker may not have done what this client said last.
    has_said: bool,
    /// Received, and not looked at by the script.
    unheard: VecDeque<Heard>,
}

/// What a client has received.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) channel: u16,
    pub(super) text: String,
    /// Nothing comes after it.
    pub(super) is_end: bool,
}

impl Heard {
    fn of_client(text: &str, is_end: bool) -> Self {
        Self {
            channel: 0,
            text: text.to_owned(),
            is_end,
        }
    }
}

impl Actor {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            open: BTreeSet::new(),
            has_said: false,
            unheard: VecDeque::new(),
        }
    }

    /// Says it on this channel, which is opened before if need be.
    pub(super) fn say(&mut self, channel: u16, line: &str) -> anyhow::Result<()> {
        self.has_said = true;
        let name = line.split(' ').next().unwrap_or_default();
        let opens = name == "channel.open";
        if (self.open.insert(channel) && !opens) && channel != 0 {
            self.client.open(channel)?;
        }
        if name == "channel.close" {
            self.open.remove(&channel);
        }
        let written = text::parse(line)?;
        let number = ChannelNumber(channel);
        let mut bytes = Vec::new();
        frame::write_frame(frame::METHOD, number, &written.method, &mut bytes);
        if let Some((properties, body)) = written.content {
            frame::write_content(
                number,
                &properties,
                &body,
                self.client.frame_max,
                &mut bytes,
            );
        }
        self.client.write(&bytes)
    }

    /// What comes next.
    pub(super) fn hear(&mut self) -> anyhow::Result<Heard> {
        match self.unheard.pop_front() {
            Some(heard) => Ok(heard),
            None => self.receive(),
        }
    }

    /// Returns when the broker has done what this client said. Methods without an answer would otherwise race with what
    /// another client says next.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        if self.has_said {
            self.unheard = self.barrier()?;
        }
        Ok(())
    }

    /// Closings are answered.
    fn receive(&mut self) -> anyhow::Result<Heard> {
        let (channel, method) = match self.client.beyond_heartbeats() {
            Ok(Received::Method(channel, method)) => (channel, method),
            Ok(other) => return Ok(Heard::of_client(&format!("{other:?}"), false)),
            Err(error) => return ended(error),
        };
        let mut payload = Vec::new();
        method.encode(&mut payload);
        let mut line = text::print(&payload)?;
        let mut is_end = false;
        match method {
            Method::Basic(
                method @ (basic::Method::Deliver(_)
                | basic::Method::Return(_)
                | basic::Method::GetOk(_)),
            ) => {
                let message = self.client.rest_of_message(channel, method)?;
                line.push(' ');
                line.push_str(&text::print_content(&message.properties, &message.body)?);
            }
            Method::Channel(channel::Method::Close(_)) => {
                self.open.remove(&channel);
                self.client.send(channel, &channel::CloseOk {})?;
            }
            Method::Connection(connection::Method::Close(_)) => {
                self.client.send(0, &connection::CloseOk {})?;
                self.client.expect_end()?;
                is_end = true;
            }
            // The broker leaves it to the client to hang up.
            Method::Connection(connection::Method::CloseOk(_)) => is_end = true,
            _ => {}
        }
        Ok(Heard {
            channel,
            text: line,
            is_end,
        })
    }

    /// All that came until the broker answered a question that changes nothing.
    pub(super) fn barrier(&mut self) -> anyhow::Result<VecDeque<Heard>> {
        self.has_said = false;
        let mut before = std::mem::take(&mut self.unheard);
        if before.back().is_some_and(|heard| heard.is_end) {
            return Ok(before);
        }
        let is_new = self.open.insert(SPARE);
        let asked = if is_new {
            self.client.send(SPARE, &channel::Open {})
        } else {
            self.client.send(SPARE, &basic::Qos::default())
        };
        if asked.is_err() {
            before.push_back(Heard::of_client("end", true));
            return Ok(before);
        }
        loop {
            let heard = self.receive()?;
            if heard.channel == SPARE {
                return Ok(before);
            }
            let is_end = heard.is_end;
            before.push_back(heard);
            if is_end {
                return Ok(before);
            }
        }
    }
}

fn ended(error: anyhow::Error) -> anyhow::Result<Heard> {
    match error.downcast_ref() {
        Some(Ended::Closed) => Ok(Heard::of_client("end", true)),
        Some(Ended::Silent) => Ok(Heard::of_client("nothing", false)),
        None => Err(error),
    }
}
