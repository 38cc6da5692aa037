//! Messages to be looked at and picked: `/api/queues/VHOST/NAME/messages`. RabbitMQ has nothing like it.

use std::collections::HashMap;

use amphora_protocol::wire::table::FieldValue;
use axum::Json;
use axum::extract::{Path, Query};
use serde_json::{Value, json};

use super::backend::{Browse, MovePicked, Picked};
use super::body::Fields;
use super::caller::Caller;
use super::messages::{self, Encoding};
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

async fn browse(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<Json<Value>, Refused> {
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
    let items = browsed.messages.iter().map(|item| {
        let mut shown = messages::view(&item.message, Encoding::Auto, truncate);
        shown["position"] = item.position.into();
        shown["published_at"] = item.published_at.into();
        shown
    });
    Ok(Json(json!({
        "items": items.collect::<Vec<_>>(),
        "next": browsed.next,
    })))
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
) -> Result<Json<Value>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["positions", "exchange", "routing_key"])?;
    let command = MovePicked {
        picked: picked(&queue, &body)?,
        exchange: body.name("exchange")?,
        routing_key: body.name("routing_key")?,
    };
    let moved = caller.backend().browsing().move_picked(&access, command);
    Ok(Json(json!({ "moved": moved.await? })))
}

async fn delete_picked(
    caller: Caller,
    Path((vhost, queue)): Path<(String, String)>,
    body: Fields,
) -> Result<Json<Value>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["positions"])?;
    let picked = picked(&queue, &body)?;
    let deleted = caller.backend().browsing().delete_messages(&access, picked);
    Ok(Json(json!({ "deleted": deleted.await? })))
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
