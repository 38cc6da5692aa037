//! Whether all is well: `/api/health/checks`, for probes, and the older `/api/aliveness-test`.

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use super::Api;
use super::backend::{DeclareQueue, Get, Publish, Settlement};
use super::caller::Caller;
use super::queues::queue_name;
use super::refused::Refused;

const ALIVENESS_QUEUE: &str = "aliveness-test";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/health/checks/alarms", get(alarms))
        .route("/health/checks/local-alarms", get(alarms))
        .route("/health/checks/ready-to-serve-clients", get(ready))
        .route("/health/checks/is-in-service", get(ready))
        .route("/health/checks/virtual-hosts", get(ready))
        .route("/health/checks/node-is-quorum-critical", get(ready))
        .route("/health/checks/reached-target-cluster-size", get(ready))
        .route("/health/checks/metadata-store/initialized", get(ready))
        .route(
            "/health/checks/metadata-store/initialized/with-data",
            get(ready),
        )
        .route(
            "/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
            get(ready),
        )
        .route("/healthchecks/node", get(ready))
        .route("/health/checks/port-listener/{port}", get(port_listener))
        .route(
            "/health/checks/protocol-listener/{protocol}",
            get(protocol_listener),
        )
        .route("/aliveness-test/{vhost}", get(aliveness))
}

async fn alarms(caller: Caller) -> Response {
    let node = caller.backend().node();
    let on = [("memory", node.memory_alarm), ("disk", node.disk_alarm)];
    let alarms: Vec<_> = on
        .into_iter()
        .filter(|(_, is_on)| *is_on)
        .map(|(resource, _)| json!({ "node": caller.about().node, "resource": resource }))
        .collect();
    if alarms.is_empty() {
        return ok();
    }
    failed(json!({ "reason": "There are alarms in effect in the cluster", "alarms": alarms }))
}

/// Whoever can ask is served: the API is opened after the other listeners and closed before them.
async fn ready(_: Caller) -> Response {
    ok()
}

async fn port_listener(caller: Caller, Path(port): Path<u16>) -> Response {
    let mut listeners = caller.about().listeners.iter();
    if listeners.any(|listener| listener.address.port() == port) {
        return ok();
    }
    failed(json!({ "reason": "No active listener", "missing": port }))
}

async fn protocol_listener(caller: Caller, Path(protocol): Path<String>) -> Response {
    let wanted = match protocol.as_str() {
        "amqp091" | "amqp" => "amqp",
        "amqps" | "amqp/ssl" => "amqp/ssl",
        other => other,
    };
    if caller
        .about()
        .listeners
        .iter()
        .any(|listener| listener.protocol == wanted)
    {
        return ok();
    }
    failed(json!({ "reason": "No active listener", "missing": [protocol] }))
}

/// Sends a message through a queue of its own.
async fn aliveness(caller: Caller, Path(vhost): Path<String>) -> Result<Response, Refused> {
    let access = caller.enter(&vhost)?;
    let queue = queue_name(ALIVENESS_QUEUE)?;
    let declare = DeclareQueue {
        name: queue.clone(),
        durable: false,
        auto_delete: false,
        arguments: FieldTable::new(),
    };
    let publish = Publish {
        exchange: ExchangeName::default(),
        routing_key: RoutingKey::from(amphora_protocol::wire::types::ShortString::from(
            queue.clone(),
        )),
        properties: BasicProperties::default(),
        body: Bytes::from_static(b"test_message"),
    };
    let fetch = Get {
        queue,
        count: 1,
        bytes_max: 1024,
        settlement: Settlement::Ack,
    };
    let backend = caller.backend();
    backend.declare_queue(&access, declare).await?;
    backend.publish(&access, publish).await?;
    let fetched = backend.get(&access, fetch).await?;
    if fetched.is_empty() {
        return Ok(failed(json!({ "reason": "the message did not come back" })));
    }
    Ok(ok())
}

fn ok() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

fn failed(mut details: Value) -> Response {
    details["status"] = "failed".into();
    (StatusCode::SERVICE_UNAVAILABLE, Json(details)).into_response()
}
