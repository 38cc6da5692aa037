//! The route of a message that nobody publishes: `/api/route/{vhost}`.
//!
//! Answers where the message would go and why it would go nowhere else. Nothing is published, stored or counted; plugins are asked in
//! instances of their own, with a copy of their store.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::backend::Publish;
use super::body::Fields;
use super::caller::Caller;
use super::exchanges::exchange_name;
use super::json;
use super::messages::{Encoding, payload, payload_view};
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
) -> Result<Json<Value>, Refused> {
    let access = caller.enter(&vhost)?;
    body.require(&["exchange", "routing_key"])?;
    let command = Publish {
        exchange: exchange_name(body.text("exchange")?.unwrap_or_default())?,
        routing_key: body.name("routing_key")?,
        properties: properties::from_json(&body.object("properties")?)?,
        body: payload(&body)?,
    };
    let report = caller.backend().route(&access, command).await?;
    Ok(Json(view(&report)))
}

fn view(report: &RouteReport) -> Value {
    let routed = report.queues.iter().any(|queue| queue.outcome.is_taken());
    json!({
        "routed": routed && report.refused.is_none(),
        "refused": report.refused,
        "queues": report.queues.iter().map(queue).collect::<Vec<_>>(),
        "exchanges": report.exchanges.iter().map(exchange).collect::<Vec<_>>(),
        "messages": report.messages.iter().map(message).collect::<Vec<_>>(),
        "notes": report.notes,
    })
}

fn queue(queue: &RouteQueue) -> Value {
    let delay = match queue.outcome {
        RouteOutcome::Delayed(delay) => Some(delay),
        _ => None,
    };
    json!({
        "name": queue.name,
        "via": queue.via,
        "message": queue.message,
        "certain": queue.certain,
        "outcome": queue.outcome.name(),
        "delay_ms": delay,
        "transforms": queue.transforms.iter().map(answer).collect::<Vec<_>>(),
    })
}

fn exchange(exchange: &RouteExchange) -> Value {
    let alternate = exchange.alternate.as_ref().map(|alternate| {
        json!({
            "name": alternate.name,
            "exists": alternate.exists,
            "taken": alternate.is_taken,
        })
    });
    json!({
        "name": exchange.name,
        "type": exchange.kind,
        "message": exchange.message,
        "via": exchange.via,
        "delay_ms": exchange.delay_ms,
        "duplicate": exchange.is_duplicate,
        "bindings": exchange.bindings.iter().map(binding).collect::<Vec<_>>(),
        "bindings_total": exchange.binding_count,
        "bindings_matching": exchange.match_count,
        "by_lot": exchange.by_lot,
        "alternate_exchange": alternate,
        "plugin": exchange.plugin.as_ref().map(answer),
        "transforms": exchange.transforms.iter().map(answer).collect::<Vec<_>>(),
    })
}

fn binding(binding: &RouteBinding) -> Value {
    json!({
        "destination": binding.destination.name(),
        "destination_type": binding.destination.kind(),
        "routing_key": binding.routing_key,
        "arguments": json::from_table(&binding.arguments),
        "matches": binding.matches,
        "why": binding.why,
    })
}

fn answer(answer: &RouteAnswer) -> Value {
    let log = answer.log.iter();
    let log: Vec<Value> = log
        .map(|(level, text)| json!({ "level": level, "text": text }))
        .collect();
    let sent = answer.sent.iter();
    let sent: Vec<Value> = sent
        .map(|sent| {
            json!({
                "vhost": sent.vhost,
                "exchange": sent.exchange,
                "routing_key": sent.routing_key.as_str(),
            })
        })
        .collect();
    json!({
        "name": answer.plugin,
        "verdict": answer.verdict,
        "detail": answer.detail,
        "on_error": answer.on_error,
        "time_ns": u64::try_from(answer.time.as_nanos()).unwrap_or(u64::MAX),
        "log": log,
        "would_publish": sent,
        "would_store": answer.stored,
    })
}

fn message(message: &RouteMessage) -> Value {
    let (payload, payload_encoding) = payload_view(&message.body, Encoding::Auto, BODY_MAX);
    json!({
        "origin": message.origin,
        "exchange": message.exchange,
        "routing_keys": message.routing_keys,
        "properties": properties::to_json(&message.properties),
        "payload": payload,
        "payload_encoding": payload_encoding,
        "payload_bytes": message.body.len(),
        "delay_ms": message.delay_ms,
    })
}
