//! Queues: `/api/queues`.

mod extent;
mod order;
mod view;

use std::collections::HashMap;

use amphora_protocol::wire::types::{QueueName, VhostName};
use axum::extract::{Path, Query};
use axum::http::StatusCode;

use self::extent::Extent;
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
        .get(
            "/queues",
            list_all,
            "All queues; with `disable_stats=true` without what is counted, of which `enable_queue_totals=true` brings back the messages.",
        )
        .get(
            "/queues/{vhost}",
            list,
            "The queues of a virtual host; with `disable_stats` and `enable_queue_totals` as for all.",
        )
        .get(
            "/users/{user}/queues",
            list_of_user,
            "The queues that a user has declared, in the virtual hosts that are open to who asks.",
        )
        .get(
            "/queues/detailed",
            list_all,
            "All queues, as at `/queues`.",
        )
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

async fn list_all(
    caller: Caller,
    listing: Listing,
    Query(extent): Query<Extent>,
) -> Result<Many<Queue>, Refused> {
    let vhosts = caller.vhosts();
    list_of(caller, listing, &vhosts, extent)
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
    Query(extent): Query<Extent>,
) -> Result<Many<Queue>, Refused> {
    let access = caller.enter(&vhost)?;
    list_of(
        caller,
        listing,
        std::slice::from_ref(access.vhost()),
        extent,
    )
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
    caller: Caller,
    listing: Listing,
    vhosts: &[VhostName],
    extent: Extent,
) -> Result<Many<Queue>, Refused> {
    let backend = caller.backend();
    let places = || {
        let of_vhost = |vhost: &VhostName| {
            let names = backend.queue_names(vhost).into_iter();
            names.map(|name| (vhost.clone(), name)).collect::<Vec<_>>()
        };
        vhosts.iter().flat_map(of_vhost).collect::<Vec<_>>()
    };
    let views = |page: &[_]| extent.views(&caller, &listing, page);
    if let Some(page) = listing.page_of_names(places, name_of, views) {
        return page.map(Many::described_as);
    }
    if listing.is_whole_by_name() {
        let queues = places();
        let views = move |listing: &Listing, part: &[_]| extent.views(&caller, listing, part);
        return listing
            .whole_by_name(queues, name_of, views)
            .map(Many::described_as);
    }
    let queues = vhosts.iter().flat_map(|vhost| backend.queues(vhost));
    let queues: Vec<_> = queues.collect();
    let view = |queue: &QueueSnapshot| extent.view(&caller, queue, &listing);
    let key = |queue: &QueueSnapshot, column: &str| order::key(&caller, queue, column);
    let page = listing.page_by_column(&queues, key, place, view);
    let list = page.unwrap_or_else(|| listing.list(queues.iter().map(view), ORDER));
    list.map(Many::described_as)
}

fn name_of((_, name): &(VhostName, QueueName)) -> &str {
    name
}

fn place(queue: &QueueSnapshot) -> (&str, &str) {
    (&queue.vhost, &queue.name)
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
