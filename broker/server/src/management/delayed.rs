//! Messages that wait for their time: `/api/delayed`. RabbitMQ has nothing like it.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::caller::Caller;
use super::messages::{Encoding, payload_view};
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
) -> Result<Response, Refused> {
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
    let found = found.list(&access, skip, page_size).await?;
    let items = found.messages.iter();
    let items: Vec<Value> = items.map(|message| view(message, truncate)).collect();
    let answer = json!({
        "page": page,
        "page_size": page_size,
        "page_count": found.total.div_ceil(page_size),
        "total_count": found.total,
        "item_count": items.len(),
        "items": items,
    });
    Ok(Json(answer).into_response())
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

async fn cancel_all(caller: Caller, Path(vhost): Path<String>) -> Result<Response, Refused> {
    let access = caller.enter(&vhost)?;
    let cancelled = caller.backend().delayed().cancel_all(&access).await?;
    Ok(Json(json!({ "cancelled": cancelled })).into_response())
}

fn view(message: &DelayedSnapshot, truncate: usize) -> Value {
    let (payload, encoding) = payload_view(&message.body, Encoding::Auto, truncate);
    json!({
        "id": message.id.to_string(),
        "due": message.id.due,
        "exchange": message.exchange.as_str(),
        "routing_key": message.routing_key.as_str(),
        "properties": properties::to_json(&message.properties),
        "payload_bytes": message.body.len(),
        "payload": payload,
        "payload_encoding": encoding,
    })
}
