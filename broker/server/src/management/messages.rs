//! Single messages: `/api/exchanges/…/publish` and `/api/queues/…/get`. For trying things out, not for work.

use axum::extract::Path;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::One;
use super::backend::{Get, Got, MoveMessages, Publish, Published, Settlement};
use super::body::Fields;
use super::caller::Caller;
use super::exchanges::exchange_name;
use super::json::Object;
use super::properties;
use super::queues::queue_name;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional, required};

/// How many bytes of bodies one answer may carry.
const GET_BYTES_MAX: u64 = 64 << 20;

pub(super) fn routes() -> Routes {
    Routes::of("Messages")
        .post(
            "/exchanges/{vhost}/{name}/publish",
            publish,
            "Publishes a message.",
        )
        .with([
            required("properties", Kind::Object),
            required("routing_key", Kind::Text),
            required("payload", Kind::Text),
            required("payload_encoding", Kind::Text),
        ])
        .post("/queues/{vhost}/{name}/get", fetch, "Fetches messages.")
        .with([
            required("count", Kind::Count),
            required("ackmode", Kind::Text),
            required("encoding", Kind::Text),
            optional("truncate", Kind::Count),
        ])
        .post(
            "/queues/{vhost}/{name}/move",
            relocate,
            "Moves messages: to an exchange by a routing key (each message's own without one), or without an exchange back to where each died.",
        )
        .with([
            optional("exchange", Kind::Text),
            optional("routing_key", Kind::Text),
            optional("count", Kind::Count),
        ])
}

/// Of so many messages at a time, so that an answer does not take for ever.
const MOVE_MAX: u32 = 10_000;

/// What was moved.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Moved")]
struct MovedView {
    /// So many messages are elsewhere now.
    moved: u64,
    /// Why the next one stayed.
    stopped: Option<String>,
}

/// What became of a message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Published")]
struct PublishedView {
    /// It is in at least one queue.
    routed: bool,
}

async fn relocate(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Fields,
) -> Result<One<MovedView>, Refused> {
    let access = caller.enter(&vhost)?;
    let exchange = body.text("exchange")?.map(exchange_name).transpose()?;
    let routing_key = match body.text("routing_key")? {
        None => None,
        Some(_) => Some(body.name("routing_key")?),
    };
    let command = MoveMessages {
        queue: queue_name(&queue)?,
        exchange,
        routing_key,
        count: body
            .count("count")?
            .unwrap_or(MOVE_MAX)
            .min(MOVE_MAX)
            .into(),
    };
    let moved = caller.backend().move_messages(&access, command).await?;
    Ok(One::new(MovedView {
        moved: moved.count,
        stopped: moved.stopped,
    }))
}

async fn publish(
    caller: Caller,
    Path((vhost, exchange)): Path<(String, String)>,
    body: Fields,
) -> Result<One<PublishedView>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["properties", "routing_key", "payload", "payload_encoding"])?;
    let command = Publish {
        exchange: exchange_name(&exchange)?,
        routing_key: body.name("routing_key")?,
        properties: properties::from_json(&body.object("properties")?)?,
        body: payload(&body)?,
    };
    // A publisher has no reply code of its own to tell a missing exchange from a missing path, so its name is in the reason.
    let published = caller.backend().publish(&access, command).await;
    let published = published.map_err(|exception| Refused::bad_request(exception.to_string()))?;
    match published {
        Published::Routed => Ok(One::new(PublishedView { routed: true })),
        Published::Unroutable => Ok(One::new(PublishedView { routed: false })),
        Published::Refused => Err(Refused::bad_request("rejected")),
    }
}

/// The message in a request's `payload`, which is as `payload_encoding` says.
pub(super) fn payload(body: &Fields) -> Result<Bytes, Refused> {
    let payload = body.text("payload")?.unwrap_or_default();
    match body.text("payload_encoding")?.unwrap_or("string") {
        "string" => Ok(Bytes::copy_from_slice(payload.as_bytes())),
        "base64" => {
            let decoded = BASE64.decode(payload);
            decoded
                .map(Bytes::from)
                .map_err(|error| Refused::bad_request(format!("payload: {error}")))
        }
        _ => Err(Refused::bad_request(
            "Unsupported encoding. Please use string or base64.",
        )),
    }
}

async fn fetch(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Fields,
) -> Result<One<Vec<Fetched>>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["count", "ackmode", "encoding"])?;
    let settlement = match body.text("ackmode")?.unwrap_or_default() {
        "ack_requeue_true" | "reject_requeue_true" => Settlement::Requeue,
        "ack_requeue_false" => Settlement::Ack,
        "reject_requeue_false" => Settlement::Discard,
        _ => {
            let known =
                "ack_requeue_true, ack_requeue_false, reject_requeue_true or reject_requeue_false";
            return Err(Refused::bad_request(format!(
                "Unsupported ackmode. Please use {known}."
            )));
        }
    };
    let encoding = match body.text("encoding")?.unwrap_or_default() {
        "auto" => Encoding::Auto,
        "base64" => Encoding::Base64,
        _ => {
            return Err(Refused::bad_request(
                "Unsupported encoding. Please use auto or base64.",
            ));
        }
    };
    let truncate = body
        .count("truncate")?
        .map_or(usize::MAX, |bytes| bytes as usize);
    let command = Get {
        queue: queue_name(&queue)?,
        count: body.count("count")?.unwrap_or_default(),
        bytes_max: GET_BYTES_MAX,
        settlement,
    };
    let messages = caller.backend().get(&access, command).await?;
    let shown = messages.iter();
    let shown = shown.map(|message| view(message, encoding, truncate));
    Ok(One::new(shown.collect()))
}

#[derive(Clone, Copy)]
pub(super) enum Encoding {
    /// As text where it is text.
    Auto,
    Base64,
}

/// A message that was fetched, or looked at.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Message")]
pub(super) struct Fetched {
    #[serde(flatten)]
    payload: Payload,
    /// It had been delivered before.
    redelivered: bool,
    /// The exchange it was published to.
    exchange: String,
    /// The routing key it was published with.
    routing_key: String,
    /// Messages that were ready behind it.
    message_count: u64,
    /// Those that it has, by the standard's names.
    properties: Object,
}

/// A body.
#[derive(Serialize, JsonSchema)]
pub(super) struct Payload {
    /// Its length, however much of it is shown.
    payload_bytes: usize,
    /// What is shown of it.
    payload: String,
    /// `string` or `base64`.
    payload_encoding: &'static str,
}

pub(super) fn view(message: &Got, encoding: Encoding, truncate: usize) -> Fetched {
    Fetched {
        payload: Payload::of(&message.body, encoding, truncate),
        redelivered: message.redelivered,
        exchange: message.exchange.to_string(),
        routing_key: message.routing_key.to_string(),
        message_count: message.ready_count,
        properties: properties::to_json(&message.properties),
    }
}

impl Payload {
    /// The first so many bytes of a body.
    pub(super) fn of(body: &[u8], encoding: Encoding, truncate: usize) -> Self {
        let shown = body.get(..truncate).unwrap_or(body);
        Self::beginning(shown, body.len(), encoding)
    }

    /// The beginning of a body of so many bytes.
    pub(super) fn beginning(shown: &[u8], bytes: usize, encoding: Encoding) -> Self {
        let is_cut = shown.len() < bytes;
        let (payload, payload_encoding) = match (encoding, as_text(shown, is_cut)) {
            (Encoding::Auto, Some(text)) => (text.to_owned(), "string"),
            _ => (BASE64.encode(shown), "base64"),
        };
        Self {
            payload_bytes: bytes,
            payload,
            payload_encoding,
        }
    }
}

/// The beginning of a text, without a character that was cut in two.
fn as_text(shown: &[u8], is_cut: bool) -> Option<&str> {
    match std::str::from_utf8(shown) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() && is_cut => {
            std::str::from_utf8(shown.get(..error.valid_up_to())?).ok()
        }
        Err(_) => None,
    }
}
