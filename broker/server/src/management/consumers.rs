//! Consumers: `/api/consumers`.

use axum::extract::Path;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::Many;
use super::caller::Caller;
use super::json::{Object, from_table};
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::ConsumerSnapshot;

const ORDER: &[&str] = &["queue.vhost", "queue.name", "consumer_tag"];

pub(super) fn routes() -> Routes {
    Routes::of("Consumers")
        .get("/consumers", list_all, "All consumers.")
        .get(
            "/consumers/{vhost}",
            list,
            "The consumers in a virtual host.",
        )
}

async fn list_all(caller: Caller, listing: Listing) -> Result<Many<Consumer>, Refused> {
    let vhosts = caller.vhosts();
    let consumers = vhosts.iter().flat_map(|vhost| consumers(&caller, vhost));
    listing.list(consumers.map(|consumer| view(&caller, &consumer)), ORDER)
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Consumer>, Refused> {
    caller.enter(&vhost)?;
    let consumers = consumers(&caller, &vhost).into_iter();
    listing.list(consumers.map(|consumer| view(&caller, &consumer)), ORDER)
}

fn consumers(caller: &Caller, vhost: &str) -> Vec<ConsumerSnapshot> {
    let mut consumers = caller.backend().consumers(vhost);
    consumers.retain(|consumer| caller.may_see(&consumer.user, &consumer.vhost));
    consumers
}

/// A consumer, also as a detail of its queue or channel.
#[derive(Serialize, JsonSchema)]
pub(super) struct Consumer {
    queue: QueueRef,
    /// Its tag, unique on its channel.
    consumer_tag: String,
    /// It acknowledges what it gets.
    ack_required: bool,
    /// It has the queue for itself.
    exclusive: bool,
    /// It is served, where only one is at a time.
    active: bool,
    /// `up`, or `waiting` for another to go.
    activity_status: &'static str,
    /// How many deliveries it may have unacknowledged; 0 is unlimited.
    prefetch_count: u16,
    /// What it was made with.
    arguments: Object,
    channel_details: ChannelRef,
}

/// A queue, as others refer to it.
#[derive(Serialize, JsonSchema)]
struct QueueRef {
    name: String,
    vhost: String,
}

/// A channel, as others refer to it.
#[derive(Serialize, JsonSchema)]
struct ChannelRef {
    name: String,
    number: u16,
    connection_name: String,
    node: String,
    peer_host: String,
    peer_port: u16,
    user: String,
}

pub(super) fn view(caller: &Caller, consumer: &ConsumerSnapshot) -> Consumer {
    let connection = &consumer.connection;
    Consumer {
        queue: QueueRef {
            name: consumer.queue.to_string(),
            vhost: consumer.vhost.to_string(),
        },
        consumer_tag: consumer.tag.to_string(),
        ack_required: consumer.ack_required,
        exclusive: consumer.exclusive,
        active: consumer.active,
        activity_status: if consumer.active { "up" } else { "waiting" },
        prefetch_count: consumer.prefetch_count,
        arguments: from_table(&consumer.arguments),
        channel_details: ChannelRef {
            name: connection.channel_name(consumer.channel),
            number: consumer.channel.0,
            connection_name: connection.name.to_string(),
            node: caller.about().node.clone(),
            peer_host: connection.peer.ip().to_string(),
            peer_port: connection.peer.port(),
            user: consumer.user.to_string(),
        },
    }
}
