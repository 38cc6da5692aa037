//! Messages that wait for their time: `/api/delayed`. RabbitMQ has nothing like it.

use std::collections::HashMap;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::One;
use super::caller::Caller;
use super::json::Object;
use super::messages::{Encoding, Payload};
use super::properties;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::DelayedSnapshot;

const PAGE_SIZE: usize = 100;
const PAGE_SIZE_MAX: usize = 500;

/// Bytes of each body that are shown, unless others are asked for.
const SHOWN_BYTES: usize = 1024;

pub(super) fn routes() -> Routes {
    Routes::of("Delayed messages")
        .get(
            "/delayed/{vhost}",
            list,
            "The messages that wait for their time.",
        )
        .delete(
            "/delayed/{vhost}",
            cancel_all,
            "Lets all messages that wait for their time go nowhere.",
        )
        .delete(
            "/delayed/{vhost}/{id}",
            cancel,
            "Lets a message that waits for its time go nowhere.",
        )
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<One<Waiting>, Refused> {
    let access = caller.enter(&vhost)?;
    let number = |name: &str, otherwise: usize| match query.get(name) {
        None => Ok(otherwise),
        Some(text) => text
            .parse()
            .map_err(|_| Refused::bad_request(format!("{name} is no number: {text}"))),
    };
    let page = number("page", 1)?.max(1);
    let page_size = number("page_size", PAGE_SIZE)?.clamp(1, PAGE_SIZE_MAX);
    let truncate = number("truncate", SHOWN_BYTES)?;
    let skip = (page - 1).saturating_mul(page_size);
    let found = caller.backend().delayed();
    let found = found.list(&access, skip, page_size, truncate).await?;
    let items = found.messages.iter();
    let items: Vec<_> = items.map(|message| view(message, truncate)).collect();
    Ok(One::new(Waiting {
        page,
        page_size,
        page_count: found.total.div_ceil(page_size),
        total_count: found.total,
        item_count: items.len(),
        items,
    }))
}

async fn cancel(
    caller: Caller,
    Path((vhost, id)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(&vhost)?;
    let id = id.parse().map_err(|()| {
        Refused::bad_request(format!(
            "{id} is not the id of a delayed message: DUE-POSITION"
        ))
    })?;
    let cancelled = caller.backend().delayed().cancel(&access, id).await?;
    if cancelled {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::not_found())
    }
}

async fn cancel_all(
    caller: Caller,
    Path(vhost): Path<String>,
) -> Result<One<CancelledCount>, Refused> {
    let access = caller.enter(&vhost)?;
    let cancelled = caller.backend().delayed().cancel_all(&access).await?;
    Ok(One::new(CancelledCount { cancelled }))
}

/// A page of the messages that wait for their time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DelayedMessages")]
struct Waiting {
    page: usize,
    page_size: usize,
    page_count: usize,
    total_count: usize,
    item_count: usize,
    items: Vec<Delayed>,
}

/// A message that waits for its time.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DelayedMessage")]
struct Delayed {
    /// What it is known by.
    id: String,
    /// When it goes on, in milliseconds since 1970.
    due: u64,
    /// The exchange that it waits at.
    exchange: String,
    routing_key: String,
    /// As consumers will see them.
    properties: Object,
    #[serde(flatten)]
    payload: Payload,
}

#[derive(Serialize, JsonSchema)]
struct CancelledCount {
    /// How many messages go nowhere.
    cancelled: usize,
}

fn view(message: &DelayedSnapshot, truncate: usize) -> Delayed {
    let shown = message.body.get(..truncate).unwrap_or(&message.body);
    Delayed {
        id: message.id.to_string(),
        due: message.id.due,
        exchange: message.exchange.to_string(),
        routing_key: message.routing_key.to_string(),
        properties: properties::to_json(&message.properties),
        payload: Payload::beginning(shown, message.body_bytes, Encoding::Auto),
    }
}
