//! Queues: `/api/queues`.

use std::collections::HashMap;

use amphora_protocol::wire::types::{QueueName, VhostName};
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::backend::{DeclareQueue, DeleteQueue};
use super::body::Fields;
use super::caller::Caller;
use super::consumers;
use super::history::Of;
use super::json;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional};
use super::snapshot::QueueSnapshot;
use super::stats;

const ORDER: &[&str] = &["vhost", "name"];

pub(super) fn routes() -> Routes {
    Routes::of("Queues")
        .get("/queues", list_all, "All queues.")
        .get("/queues/{vhost}", list, "The queues of a virtual host.")
        .get("/queues/detailed", list_all, "All queues.")
        .get("/queues/{vhost}/{name}", show, "A queue.")
        .put("/queues/{vhost}/{name}", declare, "Declares a queue.")
        .with([
            optional("durable", Kind::Flag),
            optional("auto_delete", Kind::Flag),
            optional("arguments", Kind::Object),
        ])
        .delete(
            "/queues/{vhost}/{name}",
            remove,
            "Deletes a queue; with `if-unused=true` or `if-empty=true` only if it is.",
        )
        .delete(
            "/queues/{vhost}/{name}/contents",
            purge,
            "Removes the messages of a queue that are ready.",
        )
        .put(
            "/queues/{vhost}/{name}/pause",
            pause,
            "Stops deliveries to a queue's consumers.",
        )
        .put(
            "/queues/{vhost}/{name}/resume",
            resume,
            "Lets deliveries to a queue's consumers go on.",
        )
}

async fn list_all(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    list_of(&caller, &listing, &caller.vhosts())
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    let access = caller.enter(&vhost)?;
    list_of(&caller, &listing, std::slice::from_ref(access.vhost()))
}

/// The queues of these virtual hosts. There may be very many, of which most requests want a page.
fn list_of(caller: &Caller, listing: &Listing, vhosts: &[VhostName]) -> Result<Response, Refused> {
    let backend = caller.backend();
    let places = |vhost: &VhostName| {
        let names = backend.queue_names(vhost).into_iter();
        names.map(|name| (vhost.clone(), name)).collect::<Vec<_>>()
    };
    let views = |page: &[(VhostName, QueueName)]| {
        let of_vhosts = page.chunk_by(|a, b| a.0 == b.0);
        let queues = of_vhosts.flat_map(|of_vhost| {
            let names: Vec<_> = of_vhost.iter().map(|(_, name)| name.clone()).collect();
            let vhost = of_vhost.first().map(|(vhost, _)| vhost);
            vhost.map_or_else(Vec::new, |vhost| backend.queues_named(vhost, &names))
        });
        queues.map(|queue| view(caller, &queue, listing)).collect()
    };
    let names = vhosts.iter().flat_map(places).collect();
    if let Some(page) = listing.page_of_names(names, |(_, name)| name, views) {
        return page;
    }
    let queues = vhosts.iter().flat_map(|vhost| backend.queues(vhost));
    let queues: Vec<_> = queues.collect();
    let views = |queue: &QueueSnapshot| view(caller, queue, listing);
    let number = |queue: &QueueSnapshot, column: &str| number(caller, queue, column);
    if let Some(page) = listing.page_by_number(&queues, number, place, views) {
        return page;
    }
    listing.list(queues.iter().map(views).collect(), ORDER)
}

fn place(queue: &QueueSnapshot) -> (&str, &str) {
    (&queue.vhost, &queue.name)
}

/// The columns that lists are sorted by most, without making all the others.
fn number(caller: &Caller, queue: &QueueSnapshot, column: &str) -> Option<u64> {
    let (messages, stats) = (&queue.messages, &queue.message_stats);
    Some(match column {
        "messages" => messages.count(),
        "messages_ready" => messages.ready_count,
        "messages_unacknowledged" => messages.unacked_count,
        "message_bytes" => messages.bytes(),
        "consumers" => queue.consumer_count,
        "memory" => queue.memory,
        "message_stats.publish" => stats.publish,
        "message_stats.deliver_get" => stats.deliver_get(),
        "message_stats.ack" => stats.ack,
        _ => return rate(caller, queue.id, column),
    })
}

/// A rate in hundredths: those that fall are as small as those that stand still.
fn rate(caller: &Caller, id: u64, column: &str) -> Option<u64> {
    let name = column.strip_suffix("_details.rate")?;
    let name = name.strip_prefix("message_stats.").unwrap_or(name);
    let rate = caller.history().queue_rate(id, name)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what is too small or large becomes the nearest number"
    )]
    Some((rate * 100.0).round() as u64)
}

async fn show(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&vhost)?;
    let queue = caller
        .backend()
        .queue(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    let mut shown = view(&caller, &queue, &listing);
    let mut details = caller.backend().consumers(&vhost);
    details.retain(|consumer| consumer.queue == queue.name);
    shown["consumer_details"] = details
        .iter()
        .map(|consumer| consumers::view(&caller, consumer))
        .collect();
    Ok(listing.one(shown))
}

async fn declare(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(&vhost)?;
    let existed = caller.backend().queue(&vhost, &name).is_some();
    let command = DeclareQueue {
        name: queue_name(&name)?,
        durable: body.flag("durable")?,
        auto_delete: body.flag("auto_delete")?,
        arguments: body.table("arguments")?,
    };
    caller.backend().declare_queue(&access, command).await?;
    Ok(if existed {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    })
}

async fn remove(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(&vhost)?;
    caller
        .backend()
        .queue(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    let is_set = |flag: &str| query.get(flag).is_some_and(|value| value == "true");
    let command = DeleteQueue {
        name: queue_name(&name)?,
        if_unused: is_set("if-unused"),
        if_empty: is_set("if-empty"),
    };
    caller.backend().delete_queue(&access, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn purge(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(&vhost)?;
    caller
        .backend()
        .queue(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    caller
        .backend()
        .purge_queue(&access, queue_name(&name)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    set_paused(&caller, &vhost, &name, true).await
}

async fn resume(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    set_paused(&caller, &vhost, &name, false).await
}

async fn set_paused(
    caller: &Caller,
    vhost: &str,
    name: &str,
    paused: bool,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(vhost)?;
    let backend = caller.backend();
    backend.queue(vhost, name).ok_or_else(Refused::not_found)?;
    backend
        .pause_queue(&access, queue_name(name)?, paused)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn queue_name(name: &str) -> Result<QueueName, Refused> {
    QueueName::new(name).map_err(|error| Refused::bad_request(error.to_string()))
}

fn view(caller: &Caller, queue: &QueueSnapshot, listing: &Listing) -> Value {
    let messages = &queue.messages;
    let details = caller.details(Of::Queue(queue.id), listing);
    let mut columns = stats::columns(json!({
        "vhost": queue.vhost.as_str(),
        "name": queue.name.as_str(),
        "type": queue.kind,
        "node": caller.about().node,
        "state": if queue.paused { "paused" } else { "running" },
        "durable": queue.durable,
        "auto_delete": queue.auto_delete,
        "exclusive": queue.owner.is_some(),
        "arguments": json::from_table(&queue.arguments),
        "policy": queue.policies.policy.as_deref(),
        "operator_policy": queue.policies.operator_policy.as_deref(),
        "effective_policy_definition": json::from_table(&queue.policies.definition),
        "consumers": queue.consumer_count,
        "exclusive_consumer_tag": queue.exclusive_consumer.as_deref(),
        "single_active_consumer_tag": queue.single_active_consumer.as_deref(),
        "idle_since": queue.idle_since.map(stats::timestamp),
        "memory": queue.memory,
        "messages_ram": queue.in_memory_count,
        // Those that wait for their next attempt, and those that are on their way to the dead-letter exchange.
        "messages_delayed": queue.delayed_count,
        "messages_dying": queue.dying_count,
        "deaths": {
            "rejected": queue.deaths.rejected,
            "expired": queue.deaths.expired,
            "maxlen": queue.deaths.dropped,
            "delivery_limit": queue.deaths.exhausted,
            "dead_lettered": queue.deaths.dead_lettered,
            "refused": queue.deaths.refused,
        },
        "messages_persistent": messages.persistent_count,
        "message_bytes": messages.bytes(),
        "message_bytes_ready": messages.ready_bytes,
        "message_bytes_unacknowledged": messages.unacked_bytes,
        "message_bytes_persistent": messages.persistent_bytes,
        "messages_deduplicated": queue.deduplicated,
        "message_stats": stats::message_stats(&queue.message_stats, &details),
    }));
    columns.extend(stats::message_counts(messages, &details));
    if let Some(owner) = &queue.owner {
        columns.insert(
            "owner_pid_details".to_owned(),
            json!({ "name": &*owner.name, "peer_host": owner.peer.ip(), "peer_port": owner.peer.port() }),
        );
    }
    Value::Object(columns)
}
