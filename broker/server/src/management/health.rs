//! Whether all is well: `/api/health/checks`, for probes, and the older `/api/aliveness-test`.

use std::time::{Duration, SystemTime};

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use axum::extract::Path;
use axum::http::StatusCode;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::One;
use super::backend::{DeclareQueue, Get, Publish, Settlement};
use super::caller::Caller;
use super::queues::queue_name;
use super::refused::Refused;
use super::routes::Routes;
use super::stats;
use crate::tls::Acceptor;

const ALIVENESS_QUEUE: &str = "aliveness-test";

/// Checks that whoever can ask has passed.
const PASSED: [(&str, &str); 13] = [
    (
        "/health/checks/ready-to-serve-clients",
        "Fails while clients are not let in.",
    ),
    (
        "/health/checks/is-in-service",
        "Fails while the node is in maintenance.",
    ),
    (
        "/health/checks/virtual-hosts",
        "Fails if a virtual host does not run.",
    ),
    (
        "/health/checks/below-node-connection-limit",
        "Fails if no more connections are let in.",
    ),
    (
        "/health/checks/reached-target-cluster-size",
        "Fails while nodes are missing.",
    ),
    (
        "/health/checks/metadata-store/initialized",
        "Fails until definitions are there.",
    ),
    (
        "/health/checks/metadata-store/initialized/with-data",
        "Fails until definitions are there, with data.",
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/all-vhosts",
        "Fails if a queue has no leader.",
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/all-vhosts/pattern/{pattern}",
        "Fails if a queue of such a name has no leader.",
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}",
        "Fails if a queue of a virtual host has no leader.",
    ),
    (
        "/health/checks/quorum-queues-without-elected-leaders/vhost/{vhost}/pattern/{pattern}",
        "Fails if a queue of such a name in a virtual host has no leader.",
    ),
    ("/healthchecks/node", "Whether the node works."),
    ("/healthchecks/node/{node}", "Whether a node works."),
];

/// Checks of what other nodes have.
const OF_CLUSTERS: [(&str, &str); 2] = [
    (
        "/health/checks/node-is-quorum-critical",
        "Fails if a queue would lose its quorum without this node.",
    ),
    (
        "/health/checks/node-is-mirror-sync-critical",
        "Fails if a queue would lose its last mirror without this node.",
    ),
];

pub(super) fn routes() -> Routes {
    let passed = PASSED
        .into_iter()
        .fold(Routes::of("Health"), |routes, (path, about)| {
            routes.get(path, ready, about)
        });
    let of_clusters = OF_CLUSTERS
        .into_iter()
        .fold(passed, |routes, (path, about)| {
            routes.get(path, alone, about)
        });
    of_clusters
        .get("/health/checks/alarms", alarms, "Fails while an alarm is in effect.")
        .get("/health/checks/local-alarms", alarms, "Fails while an alarm of this node is in effect.")
        .get("/health/checks/certificate-expiration/{within}/{unit}", certificate_expiration, "Fails if a certificate of the broker's expires within so many days, weeks, months or years.")
        .get("/health/checks/port-listener/{port}", port_listener, "Fails if nobody listens on a port.")
        .get("/health/checks/protocol-listener/{protocol}", protocol_listener, "Fails if nobody listens for a protocol.")
        .get("/aliveness-test/{vhost}", aliveness, "Sends a message through a queue of its own.")
}

/// The outcome of a check.
#[derive(Default, Serialize, JsonSchema)]
struct Health {
    /// `ok` or `failed`.
    status: &'static str,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(flatten)]
    found: Option<Found>,
}

/// What a check has found.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Found {
    /// What publishers are blocked for.
    Alarms { alarms: Vec<Alarm> },
    /// The port that was asked for.
    Port { port: u16 },
    /// The port that nobody listens on, and those that somebody does.
    NoPort { missing: u16, ports: Vec<u16> },
    /// The protocol that was asked for.
    Protocol { protocol: String },
    /// The protocol that nobody listens for, and those that somebody does.
    NoProtocol {
        missing: String,
        protocols: Vec<&'static str>,
    },
    /// The protocols that nobody listens for, and those that somebody does.
    NoProtocols {
        missing: Vec<String>,
        protocols: Vec<&'static str>,
    },
    /// Listeners whose certificates expire.
    Expiring { expired: Vec<Expiring> },
}

/// What publishers are blocked for.
#[derive(Serialize, JsonSchema)]
pub(super) struct Alarm {
    node: String,
    /// `memory` or `disk`.
    resource: &'static str,
}

/// A listener whose certificate expires.
#[derive(Serialize, JsonSchema)]
struct Expiring {
    node: String,
    protocol: &'static str,
    interface: String,
    port: u16,
    cert_expires_on: String,
}

async fn alarms(caller: Caller) -> One<Health> {
    let alarms = alarms_in_effect(&caller);
    if alarms.is_empty() {
        return ok();
    }
    let reason = "There are alarms in effect in the cluster";
    failed(reason, Some(Found::Alarms { alarms }))
}

/// What publishers are blocked for.
pub(super) fn alarms_in_effect(caller: &Caller) -> Vec<Alarm> {
    let node = caller.backend().node();
    let on = [("memory", node.memory_alarm), ("disk", node.disk_alarm)];
    let on = on.into_iter().filter(|(_, is_on)| *is_on);
    on.map(|(resource, _)| Alarm {
        node: caller.about().node.clone(),
        resource,
    })
    .collect()
}

/// Whoever can ask is served: the API is opened after the other listeners and closed before them.
async fn ready(_: Caller) -> One<Health> {
    ok()
}

/// No other node has what this one has, and none is waited for.
async fn alone(_: Caller) -> One<Health> {
    One::new(Health {
        status: "ok",
        reason: Some("single node cluster"),
        found: None,
    })
}

async fn port_listener(caller: Caller, Path(port): Path<u16>) -> One<Health> {
    let listeners = &caller.about().listeners;
    let ports: Vec<_> = listeners.iter().map(|known| known.address.port()).collect();
    if ports.contains(&port) {
        return found(Found::Port { port });
    }
    let missing = port;
    failed("No active listener", Some(Found::NoPort { missing, ports }))
}

async fn protocol_listener(caller: Caller, Path(asked): Path<String>) -> One<Health> {
    let known = &caller.about().listeners;
    let mut protocols: Vec<_> = known.iter().map(|listener| listener.protocol).collect();
    protocols.sort_unstable();
    protocols.dedup();
    let wanted: Vec<_> = asked.split(',').map(protocol_name).collect();
    let is_there = |wanted: &&&str| protocols.contains(*wanted);
    if let Some(known) = wanted.iter().find(is_there) {
        let protocol = (*known).to_owned();
        return found(Found::Protocol { protocol });
    }
    let missing = match wanted.as_slice() {
        [one] => Found::NoProtocol {
            missing: (*one).to_owned(),
            protocols,
        },
        several => Found::NoProtocols {
            missing: several.iter().map(|name| (*name).to_owned()).collect(),
            protocols,
        },
    };
    failed("No active listener", Some(missing))
}

/// The listeners' own name of a protocol.
fn protocol_name(asked: &str) -> &str {
    match asked {
        "amqp091" | "amqp0.9.1" | "amqp0-9-1" => "amqp",
        "amqps" => "amqp/ssl",
        other => other,
    }
}

async fn certificate_expiration(
    caller: Caller,
    Path((within, unit)): Path<(String, String)>,
) -> Result<One<Health>, Refused> {
    let days = match unit.as_str() {
        "day" | "days" => 1,
        "week" | "weeks" => 7,
        "month" | "months" => 30,
        "year" | "years" => 365,
        _ => {
            return Err(Refused::bad_request(
                "Time unit not recognised. Supported units: days, weeks, months, years.",
            ));
        }
    };
    let within: u64 = within
        .parse()
        .map_err(|_| Refused::bad_request(format!("Invalid expiration unit: {within}")))?;
    let span = Duration::from_secs(within.saturating_mul(days).saturating_mul(86_400));
    let valid_until = caller.about().tls.as_ref().and_then(Acceptor::expires);
    let end = SystemTime::now().checked_add(span);
    let too_soon = valid_until.filter(|until| end.is_none_or(|end| *until < end));
    let Some(until) = too_soon else {
        return Ok(ok());
    };
    let listeners = &caller.about().listeners;
    let encrypted = listeners
        .iter()
        .filter(|known| known.protocol == "amqp/ssl");
    let affected = encrypted.map(|listener| Expiring {
        node: caller.about().node.clone(),
        protocol: listener.protocol,
        interface: listener.address.ip().to_string(),
        port: listener.address.port(),
        cert_expires_on: stats::timestamp(until),
    });
    let expired = affected.collect();
    Ok(failed(
        "Certificates expiring",
        Some(Found::Expiring { expired }),
    ))
}

/// Sends a message through a queue of its own.
async fn aliveness(caller: Caller, Path(vhost): Path<String>) -> Result<One<Health>, Refused> {
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
        return Ok(failed("the message did not come back", None));
    }
    Ok(ok())
}

fn ok() -> One<Health> {
    One::new(Health {
        status: "ok",
        ..Health::default()
    })
}

fn found(found: Found) -> One<Health> {
    One::new(Health {
        status: "ok",
        reason: None,
        found: Some(found),
    })
}

fn failed(reason: &'static str, found: Option<Found>) -> One<Health> {
    let health = Health {
        status: "failed",
        reason: Some(reason),
        found,
    };
    One::new(health).with_status(StatusCode::SERVICE_UNAVAILABLE)
}
