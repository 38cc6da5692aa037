//! Virtual hosts: `/api/vhosts`.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Many, One};
use super::backend::PutVhost;
use super::body::Fields;
use super::caller::Caller;
use super::history::{Details, Of};
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional};
use super::snapshot::VhostSnapshot;
use super::stats::{self, Counted, Lengths};
use super::users::status;

pub(super) fn routes() -> Routes {
    Routes::of("Virtual hosts")
        .get("/vhosts", list, "All virtual hosts.")
        .get("/vhosts/{vhost}", show, "A virtual host.")
        .put("/vhosts/{vhost}", put, "Adds or changes a virtual host.")
        .with([
            optional("description", Kind::Text),
            optional("tags", Kind::Any),
            optional("default_queue_type", Kind::Text),
            optional("protected_from_deletion", Kind::Flag),
            optional("tracing", Kind::Flag),
        ])
        .delete(
            "/vhosts/{vhost}",
            remove,
            "Deletes a virtual host with all that is in it.",
        )
        .post(
            "/vhosts/{vhost}/start/{node}",
            start,
            "Starts a virtual host that does not run: all of them do.",
        )
        .post(
            "/vhosts/{vhost}/deletion/protection",
            protect,
            "Protects a virtual host from being deleted.",
        )
        .delete(
            "/vhosts/{vhost}/deletion/protection",
            release,
            "Lets a virtual host be deleted again.",
        )
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<Vhost>, Refused> {
    listing.list(
        open(&caller).map(|vhost| view(&caller, &vhost, &listing)),
        &["name"],
    )
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<Vhost>, Refused> {
    if !caller.identity().may_monitor() {
        caller.enter(&name)?;
    }
    let vhost = open(&caller).find(|vhost| vhost.name.as_str() == name);
    Ok(listing.one(view(
        &caller,
        &vhost.ok_or_else(Refused::not_found)?,
        &listing,
    )))
}

async fn put(
    caller: Caller,
    Path(name): Path<String>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let command = put_vhost(&body)?;
    let tracing = body.value("tracing").map(|_| body.flag("tracing"));
    let tracing = tracing.transpose()?;
    // Nothing else is asked for, and the firehose is no part of what is stored.
    if let Some(on) = tracing
        && command == PutVhost::default()
        && trace(&caller, &name, on)
    {
        return Ok(StatusCode::NO_CONTENT);
    }
    let administration = caller.administration();
    let put = administration.put_vhost(caller.identity(), &name, command);
    let put = put.await?;
    if let Some(on) = tracing {
        trace(&caller, &name, on);
    }
    Ok(status(put))
}

/// Turns the firehose on or off; false if there is no such virtual host.
fn trace(caller: &Caller, vhost: &str, on: bool) -> bool {
    let is_there = caller.backend().trace(vhost, on);
    if is_there {
        let by = caller.identity().user();
        tracing::info!(target: "amphora::audit", %by, vhost, on, "turned the firehose on or off");
    }
    is_there
}

async fn remove(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let administration = caller.administration();
    administration
        .delete_vhost(caller.identity(), &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn start(
    caller: Caller,
    Path((name, node)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    must_exist(&caller, &name)?;
    if node == caller.about().node {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refused::bad_request(format!("Unknown node: {node}")))
    }
}

fn must_exist(caller: &Caller, name: &str) -> Result<(), Refused> {
    let names = caller.backend().vhost_names();
    if names.iter().any(|known| known.as_str() == name) {
        Ok(())
    } else {
        Err(Refused::not_found())
    }
}

async fn protect(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    set_protection(&caller, &name, true).await
}

async fn release(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    set_protection(&caller, &name, false).await
}

async fn set_protection(
    caller: &Caller,
    name: &str,
    protected: bool,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    must_exist(caller, name)?;
    let command = PutVhost {
        protected_from_deletion: Some(protected),
        ..PutVhost::default()
    };
    let administration = caller.administration();
    administration
        .put_vhost(caller.identity(), name, command)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The virtual host that a body describes, be it beside its name or within `metadata`.
pub(super) fn put_vhost(body: &Fields) -> Result<PutVhost, Refused> {
    let own = |name| Ok::<_, Refused>(body.text(name)?.map(str::to_owned));
    let metadata = body.object("metadata")?;
    let within = |name: &str| {
        let text = metadata.get(name).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let tags = body.texts("tags")?;
    let flag = |name| match body.value(name) {
        None => Ok(None),
        Some(_) => body.flag(name).map(Some),
    };
    Ok(PutVhost {
        description: own("description")?.or_else(|| within("description")),
        tags: tags.or_else(|| metadata.get("tags").and_then(super::body::texts)),
        default_queue_type: own("default_queue_type")?.or_else(|| within("default_queue_type")),
        protected_from_deletion: flag("protected_from_deletion")?,
    })
}

/// Those that the user may enter; whoever monitors sees all.
fn open(caller: &Caller) -> impl Iterator<Item = VhostSnapshot> {
    let all = caller.identity().may_monitor();
    let vhosts = caller.backend().vhosts().into_iter();
    vhosts.filter(move |vhost| all || caller.may_enter(&vhost.name))
}

/// What is said of a virtual host, without what is in it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VhostDefinition")]
pub(super) struct Definition {
    /// Its name.
    name: String,
    /// What it is for, in its creator's words.
    description: String,
    /// Whatever its owner sorts by.
    tags: Vec<String>,
    /// The type of queues that are declared without one; `undefined` in definitions if nobody said.
    default_queue_type: String,
    /// It cannot be deleted.
    protected_from_deletion: bool,
    metadata: Metadata,
}

/// What is said of a virtual host, where older clients look for it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VhostMetadata")]
struct Metadata {
    description: String,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_queue_type: Option<String>,
}

/// A virtual host.
#[derive(Serialize, JsonSchema)]
struct Vhost {
    #[serde(flatten)]
    definition: Definition,
    /// The firehose is on.
    tracing: bool,
    /// `running`, by node.
    cluster_state: BTreeMap<String, &'static str>,
    #[serde(flatten)]
    lengths: Lengths,
    /// What happened to the messages of its queues, those that are gone included.
    message_stats: Counted,
    /// Bytes that its connections received, those that are gone included.
    recv_oct: u64,
    /// Bytes that they sent.
    send_oct: u64,
    #[serde(flatten)]
    details: Details,
}

pub(super) fn definition(vhost: &VhostSnapshot) -> Definition {
    let queue_type = vhost.default_queue_type.clone();
    Definition {
        name: vhost.name.to_string(),
        description: vhost.description.clone(),
        tags: vhost.tags.clone(),
        default_queue_type: queue_type.clone().unwrap_or_else(|| "undefined".to_owned()),
        protected_from_deletion: vhost.protected_from_deletion,
        metadata: Metadata {
            description: vhost.description.clone(),
            tags: vhost.tags.clone(),
            default_queue_type: queue_type,
        },
    }
}

fn view(caller: &Caller, vhost: &VhostSnapshot, listing: &Listing) -> Vhost {
    let mut details = caller.details(Of::Vhost(&vhost.name), listing);
    let mut definition = definition(vhost);
    if vhost.default_queue_type.is_none() {
        "classic".clone_into(&mut definition.default_queue_type);
    }
    Vhost {
        definition,
        tracing: vhost.tracing,
        cluster_state: BTreeMap::from([(caller.about().node.clone(), "running")]),
        lengths: stats::lengths(&vhost.messages, &mut details),
        message_stats: stats::counted(&vhost.message_stats, details),
        recv_oct: vhost.received_bytes,
        send_oct: vhost.sent_bytes,
        details: caller.details(Of::VhostBytes(&vhost.name), listing),
    }
}
