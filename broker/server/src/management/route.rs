//! The route of a message that nobody publishes: `/api/route/{vhost}`.
//!
//! Answers where the message would go and why it would go nowhere else. Nothing is published, stored or counted; plugins are asked in
//! instances of their own, with a copy of their store.

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::One;
use super::backend::Publish;
use super::body::Fields;
use super::caller::Caller;
use super::exchanges::exchange_name;
use super::json::{Object, from_table};
use super::messages::{Encoding, Payload, payload};
use super::properties;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional, required};
use super::snapshot::{
    RouteAnswer, RouteBinding, RouteExchange, RouteMessage, RouteOutcome, RouteQueue, RouteReport,
};

/// Bytes of each message's body that an answer shows.
const BODY_MAX: usize = 16 << 10;

pub(super) fn routes() -> Routes {
    Routes::of("Routes")
        .post(
            "/route/{vhost}",
            route,
            "Where a message would go and why, without publishing it.",
        )
        .with([
            required("exchange", Kind::Text),
            required("routing_key", Kind::Text),
            optional("properties", Kind::Object),
            optional("payload", Kind::Text),
            optional("payload_encoding", Kind::Text),
        ])
}

async fn route(
    caller: Caller,
    Path(vhost): Path<String>,
    body: Fields,
) -> Result<One<Route>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["exchange", "routing_key"])?;
    let command = Publish {
        exchange: exchange_name(body.text("exchange")?.unwrap_or_default())?,
        routing_key: body.name("routing_key")?,
        properties: properties::from_json(&body.object("properties")?)?,
        body: payload(&body)?,
    };
    let report = caller.backend().route(&access, command).await?;
    Ok(One::new(view(report)))
}

/// Where a message would go, and why nowhere else.
#[derive(Serialize, JsonSchema)]
struct Route {
    /// A queue would have it.
    routed: bool,
    /// Why the publisher would get basic.nack.
    refused: Option<String>,
    /// The queues that it comes to.
    queues: Vec<Queue>,
    /// The exchanges that it comes to.
    exchanges: Vec<Exchange>,
    /// The message, and those that plugins make of it, each of which goes its own way.
    messages: Vec<Message>,
    /// What else is to be said, in words.
    notes: Vec<String>,
}

/// A queue that a message would come to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteQueue")]
struct Queue {
    name: String,
    /// The exchanges that lead there.
    via: Vec<String>,
    /// Which of the messages: as it would be in the queue.
    message: usize,
    /// It does so in any case; otherwise lots decide.
    certain: bool,
    /// What becomes of it there.
    outcome: &'static str,
    /// It waits for so many milliseconds first.
    delay_ms: Option<u64>,
    /// What the transforms that are attached to the queue say.
    transforms: Vec<Answer>,
}

/// An exchange that a message would come to.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteExchange")]
struct Exchange {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    /// Which of the messages.
    message: usize,
    /// The exchanges before it.
    via: Vec<String>,
    /// The message waits here for so many milliseconds first.
    delay_ms: Option<u64>,
    /// It has seen the message's id, and drops it.
    duplicate: bool,
    /// Its bindings: those that match, then others; not all if they are many.
    bindings: Vec<Binding>,
    /// How many it has.
    bindings_total: usize,
    /// How many of them match.
    bindings_matching: usize,
    /// One of those that match is drawn by lot for each message.
    by_lot: bool,
    /// Where it sends what nothing matches.
    alternate_exchange: Option<Alternate>,
    /// What the plugin of its type says.
    plugin: Option<Answer>,
    /// What the transforms that are attached to it say.
    transforms: Vec<Answer>,
}

/// Where an exchange sends what nothing matches.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteAlternate")]
struct Alternate {
    name: String,
    /// There is such an exchange.
    exists: bool,
    /// The message goes there.
    taken: bool,
}

/// A binding, and whether it matches.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteBinding")]
struct Binding {
    destination: String,
    /// `queue` or `exchange`.
    destination_type: &'static str,
    routing_key: String,
    arguments: Object,
    matches: bool,
    /// Why, in words.
    why: String,
}

/// What a plugin says of a message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteAnswer")]
struct Answer {
    /// The plugin's name, or the type of exchange if nobody supplies it.
    name: String,
    /// `pass`, `replace`, `drop`, `reject`, `dead-letter` or `delay`; for a type of exchange `route`; `error` if there is no answer.
    verdict: &'static str,
    /// The plugin's reason, or what is wrong with it; how many messages or bindings, or how long.
    detail: String,
    /// What is done in the place of an answer that there is none of.
    on_error: Option<&'static str>,
    /// How long the call took, in nanoseconds.
    time_ns: u64,
    /// What it would have logged.
    log: Vec<Logged>,
    /// Where it would have sent messages of its own.
    would_publish: Vec<Sent>,
    /// How many entries of its store it would have changed.
    would_store: u64,
}

/// What a plugin would have logged.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteLogLine")]
struct Logged {
    level: &'static str,
    text: String,
}

/// Where a plugin would have sent a message of its own.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteSending")]
struct Sent {
    vhost: String,
    exchange: String,
    routing_key: String,
}

/// A message on its way.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RouteMessage")]
struct Message {
    /// Where it comes from, in words.
    origin: String,
    /// The exchange that it is published to.
    exchange: String,
    /// Its routing key, and then those of its headers `CC` and `BCC`.
    routing_keys: Vec<String>,
    properties: Object,
    #[serde(flatten)]
    payload: Payload,
    /// It waits for so many milliseconds before it goes this way.
    delay_ms: u64,
}

fn view(report: RouteReport) -> Route {
    let routed = report.queues.iter().any(|queue| queue.outcome.is_taken());
    Route {
        routed: routed && report.refused.is_none(),
        refused: report.refused,
        queues: report.queues.into_iter().map(queue).collect(),
        exchanges: report.exchanges.into_iter().map(exchange).collect(),
        messages: report.messages.into_iter().map(message).collect(),
        notes: report.notes,
    }
}

fn queue(queue: RouteQueue) -> Queue {
    Queue {
        name: queue.name,
        via: queue.via,
        message: queue.message,
        certain: queue.certain,
        outcome: queue.outcome.name(),
        delay_ms: match queue.outcome {
            RouteOutcome::Delayed(delay) => Some(delay),
            _ => None,
        },
        transforms: queue.transforms.into_iter().map(answer).collect(),
    }
}

fn exchange(exchange: RouteExchange) -> Exchange {
    Exchange {
        name: exchange.name,
        kind: exchange.kind,
        message: exchange.message,
        via: exchange.via,
        delay_ms: exchange.delay_ms,
        duplicate: exchange.is_duplicate,
        bindings: exchange.bindings.into_iter().map(binding).collect(),
        bindings_total: exchange.binding_count,
        bindings_matching: exchange.match_count,
        by_lot: exchange.by_lot,
        alternate_exchange: exchange.alternate.map(|alternate| Alternate {
            name: alternate.name,
            exists: alternate.exists,
            taken: alternate.is_taken,
        }),
        plugin: exchange.plugin.map(answer),
        transforms: exchange.transforms.into_iter().map(answer).collect(),
    }
}

fn binding(binding: RouteBinding) -> Binding {
    Binding {
        destination: binding.destination.name().to_owned(),
        destination_type: binding.destination.kind(),
        routing_key: binding.routing_key,
        arguments: from_table(&binding.arguments),
        matches: binding.matches,
        why: binding.why,
    }
}

fn answer(answer: RouteAnswer) -> Answer {
    let log = answer.log.into_iter();
    let sent = answer.sent.iter().map(|sent| Sent {
        vhost: sent.vhost.clone(),
        exchange: sent.exchange.clone(),
        routing_key: sent.routing_key.to_string(),
    });
    Answer {
        name: answer.plugin,
        verdict: answer.verdict,
        detail: answer.detail,
        on_error: answer.on_error,
        time_ns: u64::try_from(answer.time.as_nanos()).unwrap_or(u64::MAX),
        log: log.map(|(level, text)| Logged { level, text }).collect(),
        would_publish: sent.collect(),
        would_store: answer.stored,
    }
}

fn message(message: RouteMessage) -> Message {
    Message {
        origin: message.origin,
        exchange: message.exchange,
        routing_keys: message.routing_keys,
        properties: properties::to_json(&message.properties),
        payload: Payload::of(&message.body, Encoding::Auto, BODY_MAX),
        delay_ms: message.delay_ms,
    }
}
