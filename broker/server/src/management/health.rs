//! Whether all is well: `/api/health/checks`, for probes, and the older `/api/aliveness-test`.

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::backend::{DeclareQueue, Get, Publish, Settlement};
use super::caller::Caller;
use super::queues::queue_name;
use super::refused::Refused;
use super::routes::Routes;

const ALIVENESS_QUEUE: &str = "aliveness-test";

pub(super) fn routes() -> Routes {
    Routes::of("Health")
        .get(
            "/health/checks/alarms",
            alarms,
            "Fails while an alarm is in effect.",
        )
        .get(
            "/health/checks/local-alarms",
            alarms,
            "Fails while an alarm of this node is in effect.",
        )
        .get(
            "/health/checks/ready-to-serve-clients",
            ready,
            "Fails while clients are not let in.",
        )
        .get(
            "/health/checks/is-in-service",
            ready,
            "Fails while the node is in maintenance.",
        )
        .get(
            "/health/checks/virtual-hosts",
            ready,
            "Fails if a virtual host does not run.",
        )
        .get(
            "/health/checks/node-is-quorum-critical",
            ready,
            "Fails if a queue would lose its quorum without this node.",
        )
        .get(
            "/health/checks/reached-target-cluster-size",
            ready,
            "Fails while nodes are missing.",
        )
        .get(
            "/health/checks/metadata-store/initialized",
            ready,
            "Fails until definitions are there.",
        )
        .get(
            "/health/checks/metadata-store/initialized/with-data",
            ready,
            "Fails until definitions are there, with data.",
        )
        .get(
            "/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
            ready,
            "Fails if a queue has no leader.",
        )
        .get("/healthchecks/node", ready, "Whether the node works.")
        .get(
            "/health/checks/port-listener/{port}",
            port_listener,
            "Fails if nobody listens on a port.",
        )
        .get(
            "/health/checks/protocol-listener/{protocol}",
            protocol_listener,
            "Fails if nobody listens for a protocol.",
        )
        .get(
            "/aliveness-test/{vhost}",
            aliveness,
            "Sends a message through a queue of its own.",
        )
}

async fn alarms(caller: Caller) -> Response {
    let alarms = alarms_in_effect(&caller);
    if alarms.is_empty() {
        return ok();
    }
    failed(json!({ "reason": "There are alarms in effect in the cluster", "alarms": alarms }))
}

/// What publishers are blocked for.
pub(super) fn alarms_in_effect(caller: &Caller) -> Vec<Value> {
    let node = caller.backend().node();
    let on = [("memory", node.memory_alarm), ("disk", node.disk_alarm)];
    let on = on.into_iter().filter(|(_, is_on)| *is_on);
    on.map(|(resource, _)| json!({ "node": caller.about().node, "resource": resource }))
        .collect()
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
