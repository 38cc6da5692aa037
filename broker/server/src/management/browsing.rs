//! Messages to be looked at and picked: `/api/queues/VHOST/NAME/messages`. RabbitMQ has nothing like it.

use std::collections::HashMap;

use amphora_protocol::wire::table::FieldValue;
use axum::extract::{Path, Query};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::One;
use super::backend::{Browse, MovePicked, Picked};
use super::body::Fields;
use super::caller::Caller;
use super::messages::{self, Encoding, Fetched};
use super::queues::queue_name;
use super::refused::Refused;
use super::routes::{Kind, Routes, required};

const COUNT: u32 = 20;
const COUNT_MAX: u32 = 1000;

/// How many bytes of bodies one answer may carry.
const BYTES_MAX: u64 = 64 << 20;

pub(super) fn routes() -> Routes {
    Routes::of("Queues")
        .get(
            "/queues/{vhost}/{name}/messages",
            browse,
            "Messages as they wait in the queue, or as they are in the stream from an offset on; they stay where they are.",
        )
        .post(
            "/queues/{vhost}/{name}/messages/move",
            move_picked,
            "Publishes messages at these positions elsewhere, and takes them out of the queue.",
        )
        .with([
            required("positions", Kind::Any),
            required("exchange", Kind::Text),
            required("routing_key", Kind::Text),
        ])
        .post(
            "/queues/{vhost}/{name}/messages/delete",
            delete_picked,
            "Takes messages at these positions out of the queue.",
        )
        .with([required("positions", Kind::Any)])
}

/// What somebody saw.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BrowsedMessages")]
struct Seen {
    /// In the order in which consumers would get them.
    items: Vec<Placed>,
    /// Where a stream goes on; nothing at its end.
    next: Option<u64>,
}

/// A message and its place.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BrowsedMessage")]
struct Placed {
    #[serde(flatten)]
    message: Fetched,
    /// What it is known by; in a stream, its offset.
    position: u64,
    /// Milliseconds since 1970, if that is known.
    published_at: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct MovedCount {
    /// How many messages are elsewhere now.
    moved: u64,
}

#[derive(Serialize, JsonSchema)]
struct DeletedCount {
    /// How many messages are gone now.
    deleted: u64,
}

async fn browse(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<One<Seen>, Refused> {
    let access = caller.enter(&vhost)?;
    let number = |name: &str, otherwise: u32| match query.get(name) {
        None => Ok(otherwise),
        Some(text) => text
            .parse()
            .map_err(|_| Refused::bad_request(format!("{name} is no number: {text}"))),
    };
    let truncate = number("truncate", u32::MAX)? as usize;
    let command = Browse {
        queue: queue_name(&queue)?,
        offset: query.get("offset").map(|text| offset(text)),
        count: number("count", COUNT)?.min(COUNT_MAX),
        bytes_max: BYTES_MAX,
    };
    let browsed = caller.backend().browsing().browse(&access, command).await?;
    let items = browsed.messages.iter().map(|item| Placed {
        message: messages::view(&item.message, Encoding::Auto, truncate),
        position: item.position,
        published_at: item.published_at,
    });
    Ok(One::new(Seen {
        items: items.collect(),
        next: browsed.next,
    }))
}

/// A number, or one of the words that consumers of streams use.
fn offset(text: &str) -> FieldValue {
    match text.parse::<i64>() {
        Ok(number) => number.into(),
        Err(_) => text.into(),
    }
}

async fn move_picked(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Fields,
) -> Result<One<MovedCount>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["positions", "exchange", "routing_key"])?;
    let command = MovePicked {
        picked: picked(&queue, &body)?,
        exchange: body.name("exchange")?,
        routing_key: body.name("routing_key")?,
    };
    let moved = caller.backend().browsing().move_picked(&access, command);
    let moved = moved.await?;
    Ok(One::new(MovedCount { moved }))
}

async fn delete_picked(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Fields,
) -> Result<One<DeletedCount>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["positions"])?;
    let picked = picked(&queue, &body)?;
    let deleted = caller.backend().browsing().delete_messages(&access, picked);
    let deleted = deleted.await?;
    Ok(One::new(DeletedCount { deleted }))
}

fn picked(queue: &str, body: &Fields) -> Result<Picked, Refused> {
    let positions = body.value("positions").and_then(Value::as_array);
    let positions = positions.and_then(|list| list.iter().map(Value::as_u64).collect());
    Ok(Picked {
        queue: queue_name(queue)?,
        positions: positions
            .ok_or_else(|| Refused::bad_request("positions: expected an array of numbers"))?,
    })
}
