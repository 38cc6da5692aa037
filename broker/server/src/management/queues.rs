//! Queues: `/api/queues`.

mod view;

use std::collections::HashMap;

use amphora_protocol::wire::types::{QueueName, VhostName};
use axum::extract::{Path, Query};
use axum::http::StatusCode;

use self::view::view;
pub(super) use self::view::{Owner, Queue, QueueWithConsumers};
use super::answer::{Many, One};
use super::backend::{DeclareQueue, DeleteQueue};
use super::body::Fields;
use super::caller::Caller;
use super::consumers;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional, required};
use super::snapshot::QueueSnapshot;

const ORDER: &[&str] = &["vhost", "name"];

pub(super) fn routes() -> Routes {
    Routes::of("Queues")
        .get("/queues", list_all, "All queues.")
        .get("/queues/{vhost}", list, "The queues of a virtual host.")
        .get(
            "/users/{user}/queues",
            list_of_user,
            "The queues that a user has declared, in the virtual hosts that are open to who asks.",
        )
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
        .post(
            "/queues/{vhost}/{name}/actions",
            act,
            "An action of earlier versions of RabbitMQ: all are unknown.",
        )
        .with([required("action", Kind::Text)])
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

async fn list_all(caller: Caller, listing: Listing) -> Result<Many<Queue>, Refused> {
    list_of(&caller, &listing, &caller.vhosts())
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Queue>, Refused> {
    let access = caller.enter(&vhost)?;
    list_of(&caller, &listing, std::slice::from_ref(access.vhost()))
}

async fn list_of_user(
    caller: Caller,
    Path(user): Path<String>,
    listing: Listing,
) -> Result<Many<Queue>, Refused> {
    let vhosts = caller.vhosts();
    let queues = vhosts
        .iter()
        .flat_map(|vhost| caller.backend().queues(vhost));
    let declared = queues.filter(|queue| *queue.declared_by == *user);
    listing.list(declared.map(|queue| view(&caller, &queue, &listing)), ORDER)
}

/// The queues of these virtual hosts. There may be very many, of which most requests want a page.
fn list_of(
    caller: &Caller,
    listing: &Listing,
    vhosts: &[VhostName],
) -> Result<Many<Queue>, Refused> {
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
    listing.list(queues.iter().map(views), ORDER)
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
) -> Result<One<QueueWithConsumers>, Refused> {
    caller.enter(&vhost)?;
    let queue = caller
        .backend()
        .queue(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    let mut details = caller.backend().consumers(&vhost);
    details.retain(|consumer| consumer.queue == queue.name);
    let details = details.iter();
    Ok(listing.one(QueueWithConsumers {
        queue: view(&caller, &queue, &listing),
        consumer_details: details
            .map(|consumer| consumers::view(&caller, consumer))
            .collect(),
        incoming: [],
        deliveries: [],
    }))
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

async fn act(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.enter(&vhost)?;
    let backend = caller.backend();
    backend
        .queue(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    body.require(&["action"])?;
    let action = body.text("action")?.unwrap_or_default();
    Err(Refused::bad_request(format!("unknown action: {action}")))
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
