//! A peer that says what a script tells it to, and a broker that agrees to everything.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use amphora_protocol::connection::{Connection, Content, Event, Failure, Offer};
use amphora_protocol::exception::Exception;
use amphora_protocol::wire::frame::{self, PROTOCOL_HEADER, Split};
use amphora_protocol::wire::method::{AnyMethod, Method, channel, connection};
use amphora_protocol::wire::types::{ChannelNumber, VhostName};
use expect_test::Expect;

use crate::samples;

/// A conversation and the transcript of it: `C` is what the client says, `E` what the broker is
/// told, `S` what it answers, `!` how the conversation fails.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) now: Instant,
    /// What was heard and not read.
    buffer: Vec<u8>,
    transcript: String,
    received: bool,
    sent: bool,
}

impl Session {
    pub(crate) fn new(offer: Offer) -> Self {
        let now = Instant::now();
        Self {
            connection: Connection::new(offer, now),
            now,
            buffer: Vec::new(),
            transcript: String::new(),
            received: false,
            sent: false,
        }
    }

    /// Through the whole handshake, and nothing of it in the transcript.
    pub(crate) fn open(offer: Offer) -> Self {
        Self::tuned(offer, &samples::tune_ok())
    }

    /// As [`Session::open`], with these limits.
    pub(crate) fn tuned(offer: Offer, tune_ok: &connection::TuneOk) -> Self {
        let mut session = Self::new(offer);
        session.hear(&PROTOCOL_HEADER);
        session.say(0, &samples::start_ok());
        session.say(0, tune_ok);
        session.say(
            0,
            &connection::Open {
                virtual_host: VhostName::new("/").unwrap(),
            },
        );
        session.transcript.clear();
        session
    }

    /// As [`Session::open`], with channel 1.
    pub(crate) fn with_channel() -> Self {
        let mut session = Self::open(Offer::default());
        session.say(1, &channel::Open {});
        session.transcript.clear();
        session
    }

    /// The client says a method.
    pub(crate) fn say(&mut self, channel: u16, method: &dyn AnyMethod) {
        let mut payload = Vec::new();
        method.encode(&mut payload);
        let name = Method::decode(&payload).map_or("?", |method| method.name());
        writeln!(self.transcript, "C {channel} {name}").unwrap();
        let mut bytes = Vec::new();
        frame::write_method_frame(ChannelNumber(channel), method, &mut bytes);
        self.hear_bytes(&bytes);
    }

    /// The client says a frame.
    pub(crate) fn say_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        writeln!(self.transcript, "C {channel} frame {kind} {payload:?}").unwrap();
        let mut bytes = Vec::new();
        frame::write_frame(kind, ChannelNumber(channel), payload, &mut bytes);
        self.hear_bytes(&bytes);
    }

    /// The client says anything.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        writeln!(self.transcript, "C {}", bytes.escape_ascii()).unwrap();
        self.hear_bytes(bytes);
    }

    /// As [`Session::hear`], without a line in the transcript.
    pub(crate) fn hear_bytes(&mut self, bytes: &[u8]) {
        self.received |= !bytes.is_empty();
        self.buffer.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.buffer);
        let mut used = 0;
        loop {
            let mut out = Vec::new();
            let next = self.connection.next(&input, &mut used, &mut out);
            match next {
                Ok(Some(event)) => {
                    self.note(&event);
                    self.flush(out);
                    self.answer(event);
                }
                Ok(None) => {
                    self.flush(out);
                    break;
                }
                Err(failure) => {
                    self.flush(out);
                    self.fail(&failure);
                }
            }
        }
        self.buffer = input[used..].to_vec();
    }

    /// The broker refuses something.
    pub(crate) fn raise(&mut self, channel: u16, exception: impl Into<Exception>) {
        let mut out = Vec::new();
        self.connection
            .raise(ChannelNumber(channel), exception, &mut out);
        self.flush(out);
    }

    /// Time passes, deadline by deadline.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        writeln!(self.transcript, "… {duration:?}").unwrap();
        while let Some(deadline) = self
            .connection
            .deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.now = self.now.max(deadline);
            let mut out = Vec::new();
            let (received, sent) = (
                std::mem::take(&mut self.received),
                std::mem::take(&mut self.sent),
            );
            let result = self.connection.on_timer(self.now, received, sent, &mut out);
            self.flush(out);
            if let Err(failure) = result {
                self.fail(&failure);
                return;
            }
        }
        self.now = end;
    }

    /// A line of the script's own.
    pub(crate) fn remark(&mut self, text: &str) {
        writeln!(self.transcript, "# {text}").unwrap();
    }

    pub(crate) fn transcript(&self) -> &str {
        &self.transcript
    }

    #[track_caller]
    pub(crate) fn check(&self, expected: Expect) {
        expected.assert_eq(&self.transcript);
    }

    /// Agrees.
    fn answer(&mut self, event: Event<'_>) {
        let mut out = Vec::new();
        match event {
            Event::Login { .. } => self.connection.accept_login(&mut out),
            Event::Open { .. } => self.connection.accept_open(&mut out),
            Event::ChannelOpen(channel) => self.connection.accept_channel(channel, &mut out),
            Event::ChannelClose { channel, .. } => {
                self.connection.release_channel(channel, &mut out);
            }
            Event::Refused { channel, exception } => {
                self.connection.raise(channel, exception, &mut out);
            }
            _ => {}
        }
        self.flush(out);
    }

    fn note(&mut self, event: &Event<'_>) {
        if let Event::Publish(publish) = event {
            let way = match publish.content {
                Content::Inline { .. } => "inline",
                Content::Assembled { .. } => "assembled",
            };
            let (channel, body) = (publish.channel, publish.content.body());
            let (exchange, key) = publish.content.names().unwrap_or(("?", "?"));
            let (start, len) = (body[..body.len().min(16)].escape_ascii(), body.len());
            writeln!(
                self.transcript,
                "E {channel} {way} {exchange:?} {key:?} {len}: {start}"
            )
            .unwrap();
        } else {
            writeln!(self.transcript, "E {event:?}").unwrap();
        }
    }

    fn fail(&mut self, failure: &Failure) {
        let kind = match failure {
            Failure::Drop(_) => "drop",
            Failure::Close(_) => "close",
        };
        writeln!(self.transcript, "! {kind}: {failure}").unwrap();
    }

    fn flush(&mut self, out: Vec<u8>) {
        self.sent |= !out.is_empty();
        for line in server_lines(&out) {
            writeln!(self.transcript, "S {line}").unwrap();
        }
    }
}

/// What the server says, a line for each frame.
pub(crate) fn server_lines(mut out: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while !out.is_empty() {
        let Split::Whole(frame) = frame::split(out, u32::MAX) else {
            lines.push(out.escape_ascii().to_string());
            break;
        };
        out = &out[frame.payload.len() + frame::OVERHEAD..];
        lines.push(match frame.kind {
            frame::METHOD => format!("{} {}", frame.channel, describe(frame.payload)),
            frame::HEARTBEAT => "heartbeat".to_owned(),
            other => format!("{} frame {other}", frame.channel),
        });
    }
    lines
}

/// A method's name, and its arguments if it has any.
fn describe(payload: &[u8]) -> String {
    let method = Method::decode(payload).unwrap();
    let debug = format!("{method:?}");
    let arguments = debug
        .find('{')
        .map_or("", |at| debug[at..].trim_end_matches(')'));
    format!("{} {arguments}", method.name())
        .trim_end()
        .to_owned()
}
