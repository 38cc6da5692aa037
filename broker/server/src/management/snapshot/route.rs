//! Where a message would go, and why.

use std::time::Duration;

use amphora_core::hook::Sending;
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use bytes::Bytes;

use super::Destination;

/// What would become of a message that is published now.
#[derive(Clone, Debug, Default)]
pub struct RouteReport {
    /// The message, and those that plugins make of it, each of which goes its own way.
    pub messages: Vec<RouteMessage>,
    /// The exchanges that they come to.
    pub exchanges: Vec<RouteExchange>,
    /// The queues that they come to.
    pub queues: Vec<RouteQueue>,
    /// Why the publisher would get basic.nack.
    pub refused: Option<String>,
    /// What else is to be said, in words.
    pub notes: Vec<String>,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub struct RouteMessage {
    /// Where it comes from, in words.
    pub origin: String,
    /// The exchange that it is published to.
    pub exchange: String,
    /// Its routing key, and then those of its headers `CC` and `BCC`.
    pub routing_keys: Vec<String>,
    /// Its properties.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Bytes,
    /// It waits for so many milliseconds before it goes this way.
    pub delay_ms: u64,
}

/// An exchange on a message's way.
#[derive(Clone, Debug)]
pub struct RouteExchange {
    /// Which of the messages.
    pub message: usize,
    /// The exchange's name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// The exchanges before it.
    pub via: Vec<String>,
    /// The message waits here for so many milliseconds first.
    pub delay_ms: Option<u64>,
    /// It has seen the message's id, and drops it.
    pub is_duplicate: bool,
    /// Its bindings: those that match, then others; not all if they are many.
    pub bindings: Vec<RouteBinding>,
    /// How many it has, and how many of them match.
    pub binding_count: usize,
    /// How many of them match.
    pub match_count: usize,
    /// One of those that match is drawn by lot for each message.
    pub by_lot: bool,
    /// Where it sends what nothing matches.
    pub alternate: Option<RouteAlternate>,
    /// What the plugin of its type says.
    pub plugin: Option<RouteAnswer>,
    /// What the transforms that are attached to it say.
    pub transforms: Vec<RouteAnswer>,
}

/// A binding that was looked at.
#[derive(Clone, Debug)]
pub struct RouteBinding {
    /// Where it leads.
    pub destination: Destination,
    /// Its binding key.
    pub routing_key: String,
    /// Its arguments.
    pub arguments: FieldTable,
    /// It matches.
    pub matches: bool,
    /// Why, in words.
    pub why: String,
}

/// An alternate exchange.
#[derive(Clone, Debug)]
pub struct RouteAlternate {
    /// Its name.
    pub name: String,
    /// There is such an exchange.
    pub exists: bool,
    /// The message goes there.
    pub is_taken: bool,
}

/// What a plugin says, or what the operator says for it.
#[derive(Clone, Debug)]
pub struct RouteAnswer {
    /// The plugin's name, or the type of exchange if nobody supplies it.
    pub plugin: String,
    /// `pass`, `replace`, `drop`, `reject`, `dead-letter` or `delay`; for a type of exchange `route`; `error` if there is no answer.
    pub verdict: &'static str,
    /// The plugin's reason, or what is wrong with it; how many messages or bindings, or how long.
    pub detail: String,
    /// What is done in the place of an answer that there is none of.
    pub on_error: Option<&'static str>,
    /// How long the call took.
    pub time: Duration,
    /// What the plugin would have logged: level and text.
    pub log: Vec<(&'static str, String)>,
    /// Where it would have sent messages of its own.
    pub sent: Vec<Sending>,
    /// How many entries of its store it would have changed.
    pub stored: u64,
}

/// A queue that a message comes to.
#[derive(Clone, Debug)]
pub struct RouteQueue {
    /// Which of the messages: as it would be in the queue.
    pub message: usize,
    /// The queue's name.
    pub name: String,
    /// The exchanges that lead there.
    pub via: Vec<String>,
    /// It does so in any case; otherwise lots decide.
    pub certain: bool,
    /// What the transforms that are attached to it say.
    pub transforms: Vec<RouteAnswer>,
    /// What becomes of it there.
    pub outcome: RouteOutcome,
}

/// What becomes of a message at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// It is in the queue.
    Enqueued,
    /// It is in the queue after so many milliseconds.
    Delayed(u64),
    /// It is in the queue, which is full and lets its oldest message go.
    MakesRoom,
    /// The queue is full and refuses it.
    Full,
    /// The queue has seen its id and drops it.
    Duplicate,
    /// A transform has it go nowhere.
    Dropped,
    /// A transform refuses it.
    Rejected,
    /// A transform sends it to a dead-letter exchange.
    DeadLettered,
}

impl RouteOutcome {
    /// The name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Delayed(_) => "delayed",
            Self::MakesRoom => "enqueued-oldest-dropped",
            Self::Full => "full",
            Self::Duplicate => "duplicate",
            Self::Dropped => "dropped",
            Self::Rejected => "rejected",
            Self::DeadLettered => "dead-lettered",
        }
    }

    /// Whether the message is in the queue then, at once or later.
    pub fn is_taken(self) -> bool {
        matches!(self, Self::Enqueued | Self::Delayed(_) | Self::MakesRoom)
    }
}
