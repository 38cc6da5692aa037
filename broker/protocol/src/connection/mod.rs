//! The server's side of a conversation, as a pull parser.
//!
//! The caller reads bytes from a socket, asks [`Connection::next`] what the peer said until there
//! is nothing more, answers each [`Event`] that asks for an answer, writes `out` to the socket, and
//! calls [`Connection::on_timer`] at [`Connection::deadline`]. Nothing here reads a clock or does
//! I/O.
//!
//! ```text
//!   Header ──AMQP0091──► Starting ──start-ok──► Securing ──accept_login──► Tuning
//!                                 (Event::Login)    │                        │
//!                                                   │ refuse_login           │ tune-ok
//!                                                   ▼                        ▼
//!   Closed ◄──close-ok── Closing ◄──── close ──── Running ◄─accept_open─ Entering ◄──open── Opening
//!     ▲ (Event::CloseOk)          raise, failures    │                        (Event::Open)
//!     └─────────────────── close ────────────────────┘
//!                      (Event::Close)
//! ```
//!
//! Each event that asks for an answer is answered before `next` is called again; a login and the
//! entering of a virtual host may take any time, during which `next` reads nothing. `close` is
//! legal in every state; framing that is lost leads to `Closing` too, but nothing is read from
//! there on.
//!
//! ```
//! use amphora_protocol::connection::{Connection, Event, Failure};
//!
//! /// Takes what was read from the socket, and returns how much of it is done with.
//! fn take(connection: &mut Connection, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Failure> {
//!     let mut used = 0;
//!     loop {
//!         if let Some(publish) = connection.next_publish(input, &mut used) {
//!             // Route it.
//!         } else if let Some((channel, ack)) = connection.next_ack(input, &mut used) {
//!             // Settle it.
//!         } else {
//!             match connection.next(input, &mut used, out)? {
//!                 Some(Event::Publish(publish)) => {} // In pieces; route it as well.
//!                 Some(event) => {}                   // Answer it.
//!                 None => return Ok(used),            // Read on, to `connection.wanted()` bytes.
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! # Cost
//! A publish whose frames lie side by side in the input is handed on where it lies
//! ([`Content::Inline`]): no copy, no allocation, no decoding beyond bounds. A message that is cut
//! by the end of the input is left there until the rest has been read, up to
//! [`INLINE_MESSAGE_MAX`](crate::limits::INLINE_MESSAGE_MAX); [`Connection::wanted`] says how much
//! that is.

mod channels;
mod client;
mod closing;
mod content;
mod event;
mod handshake;
mod inline;
mod misuse;
mod octets;
mod offer;
mod running;
mod timers;

use std::time::Instant;

use channels::Channels;
use content::Assemblies;
use inline::Bounds;
use timers::Timers;

use crate::wire::frame;
use crate::wire::method::basic;
use crate::wire::types::ChannelNumber;

pub use client::ClientProperties;
pub use event::{Content, DropReason, Event, Failure, Publish, split_target};
pub use offer::{Offer, Tuned};

/// One conversation with a client.
#[derive(Debug)]
pub struct Connection {
    stage: Stage,
    channels: Channels,
    bounds: Bounds,
    wanted: usize,
    assemblies: Assemblies,
    tuned: Tuned,
    timers: Timers,
    client: ClientProperties,
    offer: Offer,
}

/// How far the conversation has come. What is due is named after the state in RabbitMQ's reply
/// texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The protocol header.
    Header,
    /// `connection.start-ok`
    Starting,
    /// The caller's answer to a login.
    Securing,
    /// `connection.tune-ok`
    Tuning,
    /// `connection.open`
    Opening,
    /// The caller's answer to `connection.open`.
    Entering,
    /// Anything.
    Running,
    /// `connection.close-ok`
    Closing,
    /// The end of the socket: what comes cannot be understood or does not matter.
    Closed,
}

/// What came of looking at the input.
enum Step<'a> {
    /// The peer said this.
    Said(Event<'a>),
    /// Something was read, of which the caller need not know.
    Read,
    /// Nothing was read: there must be this much first.
    Wanted(usize),
}

impl Connection {
    /// A conversation that begins now.
    pub fn new(offer: Offer, now: Instant) -> Self {
        let tuned = Tuned::before(&offer);
        let mut connection = Self {
            stage: Stage::Header,
            channels: Channels::default(),
            bounds: Bounds {
                payload_max: 0,
                body_max: offer.message_size_max(),
            },
            wanted: 0,
            assemblies: Assemblies::new(offer.message_size_max()),
            tuned,
            timers: Timers::for_handshake(now, offer.handshake_timeout),
            client: ClientProperties::default(),
            offer,
        };
        connection.tune(tuned);
        connection
    }

    /// Reads the next thing that the peer said. `used` moves past what was read, also when nothing
    /// is returned.
    ///
    /// `None` means that more input is needed ([`Connection::wanted`]), or that the caller owes an
    /// answer. The bytes from `used` on must come again, followed by more. What needs no decision
    /// (`connection.start`, `close-ok`, `flow-ok`) is answered in `out`.
    ///
    /// # Errors
    /// [`Failure::Drop`] for what cannot be answered; [`Failure::Close`] for every connection
    /// exception. In both cases `out` has the last words.
    pub fn next<'a>(
        &mut self,
        input: &'a [u8],
        used: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'a>>, Failure> {
        loop {
            if let Some(publish) = self.next_publish(input, used) {
                return Ok(Some(Event::Publish(publish)));
            }
            if let Some((channel, ack)) = self.next_ack(input, used) {
                return Ok(Some(Event::Method(channel, ack.into())));
            }
            let rest = input.get(*used..).unwrap_or_default();
            let step = match inline::wanted(rest, &self.channels, self.bounds) {
                Some(wanted) => Step::Wanted(wanted),
                None => self.step(rest, used, out)?,
            };
            match step {
                Step::Said(event) => return Ok(Some(event)),
                Step::Read => {}
                Step::Wanted(wanted) => {
                    self.wanted = wanted;
                    return Ok(None);
                }
            }
        }
    }

    /// Reads the next publish if it is the next thing, and lies whole and side by side in the
    /// input. Otherwise nothing is read, and [`Connection::next`] knows what it is.
    ///
    /// A caller that asks here first saves the half of the cost, which is to hand an [`Event`] on
    /// through memory.
    #[expect(
        clippy::inline_always,
        reason = "a caller that collects small messages waits longer for the result to come out of memory than for its reading"
    )]
    #[inline(always)]
    pub fn next_publish<'a>(&self, input: &'a [u8], used: &mut usize) -> Option<Publish<'a>> {
        let (publish, length) = inline::split(input.get(*used..)?, &self.channels, self.bounds)?;
        *used += length;
        Some(publish)
    }

    /// Reads the next acknowledgement if it is the next thing. Otherwise nothing is read, as with
    /// [`Connection::next_publish`].
    #[inline]
    pub fn next_ack(&self, input: &[u8], used: &mut usize) -> Option<(ChannelNumber, basic::Ack)> {
        let (channel, ack, length) = inline::split_ack(input.get(*used..)?, &self.channels)?;
        *used += length;
        Some((channel, ack))
    }

    /// How many bytes there must be, from `used` on, before [`Connection::next`] can go on after it
    /// returned `None`. 0 if it waits for the caller. A caller whose buffer is smaller must let it
    /// grow.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// What was negotiated. Before `tune-ok`, what holds until then.
    pub fn tuned(&self) -> &Tuned {
        &self.tuned
    }

    /// What the client said about itself.
    pub fn client(&self) -> &ClientProperties {
        &self.client
    }

    /// How many octets of messages are held because they are not whole yet.
    pub fn held(&self) -> u64 {
        self.assemblies.held()
    }

    /// When [`Connection::on_timer`] must be called next; it may be called sooner. A deadline in
    /// the past is meant: what begins with the conversation's next stage begins to run with that
    /// call.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// Lets time pass. `received` and `sent` say whether any byte was read from or written to the
    /// socket since the last call. A caller that is not reading says `received`, since it cannot
    /// know.
    ///
    /// # Errors
    /// [`Failure::Drop`] when the peer was silent for too long.
    pub fn on_timer(
        &mut self,
        now: Instant,
        received: bool,
        sent: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        Ok(self.timers.tick(now, received, sent, out)?)
    }

    /// The general way: one frame.
    fn step<'a>(
        &mut self,
        rest: &'a [u8],
        used: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<Step<'a>, Failure> {
        match self.stage {
            Stage::Header => return self.protocol_header(rest, used, out),
            Stage::Securing | Stage::Entering => return Ok(Step::Wanted(0)),
            Stage::Closed => {
                *used += rest.len();
                return Ok(Step::Wanted(1));
            }
            _ => {}
        }
        let frame = match frame::split(rest, self.bounds.payload_max) {
            frame::Split::Whole(frame) => frame,
            frame::Split::Wanted(wanted) => return Ok(Step::Wanted(wanted)),
            lost => {
                *used += rest.len();
                return self.lose_sync(&lost, out);
            }
        };
        *used += frame.payload.len() + frame::OVERHEAD;
        let event = match self.stage {
            Stage::Running => self.running(frame, out)?,
            Stage::Closing => self.closing(frame, out),
            _ => self.handshake(frame, out)?,
        };
        Ok(event.map_or(Step::Read, Step::Said))
    }

    fn tune(&mut self, tuned: Tuned) {
        self.tuned = tuned;
        // Being off by the frame's own eight octets is a common mistake of clients, so the payload
        // alone may be as long.
        self.bounds.payload_max = tuned.frame_max;
    }
}
