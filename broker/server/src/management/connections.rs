//! Connections and their channels: `/api/connections`, `/api/channels`.

mod view;

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};

use self::view::{Channel, ChannelWithConsumers, Connection, view, view_channel};
use super::answer::{Many, One};
use super::caller::Caller;
use super::consumers;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::{ChannelSnapshot, ConnectionSnapshot};

pub(super) fn routes() -> Routes {
    Routes::of("Connections")
        .get("/connections", list, "All connections.")
        .get("/connections/{name}", show, "A connection.")
        .delete(
            "/connections/{name}",
            close,
            "Closes a connection. The header `X-Reason` says why.",
        )
        .get(
            "/connections/{name}/channels",
            list_channels_of,
            "The channels of a connection.",
        )
        .get(
            "/connections/{name}/sessions",
            list_sessions_of,
            "The sessions of a connection that speaks AMQP 1.0, as none does.",
        )
        .get(
            "/connections/username/{user}",
            list_of_user,
            "The connections of a user.",
        )
        .delete(
            "/connections/username/{user}",
            close_all_of_user,
            "Closes all connections of a user.",
        )
        .get(
            "/vhosts/{vhost}/connections",
            list_in,
            "The connections in a virtual host.",
        )
        .get("/channels", list_channels, "All channels.")
        .get("/channels/{name}", show_channel, "A channel.")
        .get(
            "/vhosts/{vhost}/channels",
            list_channels_in,
            "The channels in a virtual host.",
        )
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<Connection>, Refused> {
    listing.list(
        connections(&caller).map(|connection| view(&caller, &connection, &listing)),
        &["name"],
    )
}

async fn list_in(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Connection>, Refused> {
    caller.enter(&vhost)?;
    let inside = connections(&caller).filter(|connection| connection.vhost.as_str() == vhost);
    listing.list(
        inside.map(|connection| view(&caller, &connection, &listing)),
        &["name"],
    )
}

async fn list_of_user(
    caller: Caller,
    Path(user): Path<String>,
    listing: Listing,
) -> Result<Many<Connection>, Refused> {
    let of_user = connections(&caller).filter(|connection| *connection.user == *user);
    let views = of_user.map(|connection| view(&caller, &connection, &listing));
    listing.list(views, &["name"])
}

async fn close_all_of_user(
    caller: Caller,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    if **caller.identity().user() != *user {
        caller.must_administrate()?;
    }
    let of_user = connections(&caller).filter(|connection| *connection.user == *user);
    for connection in of_user.collect::<Vec<_>>() {
        close_one(&caller, &connection.connection.name, &headers);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `false` if it is gone.
fn close_one(caller: &Caller, name: &str, headers: &HeaderMap) -> bool {
    let reason = headers
        .get("x-reason")
        .and_then(|reason| reason.to_str().ok());
    let reason = reason.unwrap_or("Closed via management plugin");
    let closed = caller.backend().close_connection(name, reason);
    if closed {
        let by = caller.identity().user();
        tracing::info!(target: "amphora::audit", connection = name, %by, reason, "told a connection to close");
    }
    closed
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<Connection>, Refused> {
    Ok(listing.one(view(&caller, &find(&caller, &name)?, &listing)))
}

async fn close(
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refused> {
    let connection = find(&caller, &name)?;
    if connection.user != *caller.identity().user() {
        caller.must_administrate()?;
    }
    if close_one(&caller, &name, &headers) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::not_found())
    }
}

async fn list_channels(caller: Caller, listing: Listing) -> Result<Many<Channel>, Refused> {
    list_of(&caller, &listing, |_| true)
}

async fn list_channels_in(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Channel>, Refused> {
    caller.enter(&vhost)?;
    list_of(&caller, &listing, |channel| channel.vhost.as_str() == vhost)
}

async fn list_channels_of(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Many<Channel>, Refused> {
    let connection = find(&caller, &name)?.connection;
    list_of(&caller, &listing, |channel| {
        channel.connection == connection
    })
}

async fn list_sessions_of(
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Many<Channel>, Refused> {
    find(&caller, &name)?;
    Err(Refused::bad_request("connection does not use AMQP 1.0"))
}

async fn show_channel(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<ChannelWithConsumers>, Refused> {
    let channel =
        channels(&caller).find(|channel| channel.connection.channel_name(channel.number) == name);
    let channel = channel.ok_or_else(Refused::not_found)?;
    let mut details = caller.backend().consumers(&channel.vhost);
    details.retain(|consumer| {
        consumer.connection == channel.connection && consumer.channel == channel.number
    });
    let details = details.iter();
    Ok(listing.one(ChannelWithConsumers {
        channel: view_channel(&caller, &channel, &listing),
        consumer_details: details
            .map(|consumer| consumers::view(&caller, consumer))
            .collect(),
        publishes: [],
        deliveries: [],
    }))
}

fn connections(caller: &Caller) -> impl Iterator<Item = ConnectionSnapshot> {
    let mut connections = caller.backend().connections();
    connections.retain(|connection| caller.may_see(&connection.user, &connection.vhost));
    connections.into_iter()
}

fn find(caller: &Caller, name: &str) -> Result<ConnectionSnapshot, Refused> {
    connections(caller)
        .find(|known| &*known.connection.name == name)
        .ok_or_else(Refused::not_found)
}

fn channels(caller: &Caller) -> impl Iterator<Item = ChannelSnapshot> {
    let mut channels = caller.backend().channels();
    channels.retain(|channel| caller.may_see(&channel.user, &channel.vhost));
    channels.into_iter()
}

fn list_of(
    caller: &Caller,
    listing: &Listing,
    is_wanted: impl Fn(&ChannelSnapshot) -> bool,
) -> Result<Many<Channel>, Refused> {
    let wanted = channels(caller).filter(is_wanted);
    listing.list(
        wanted.map(|channel| view_channel(caller, &channel, listing)),
        &["name"],
    )
}
