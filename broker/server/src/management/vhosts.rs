//! Virtual hosts: `/api/vhosts`.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::backend::PutVhost;
use super::body::Fields;
use super::caller::Caller;
use super::history::Of;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional};
use super::snapshot::VhostSnapshot;
use super::stats;
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

async fn list(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    listing.list(
        open(&caller)
            .map(|vhost| view(&caller, &vhost, &listing))
            .collect(),
        &["name"],
    )
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
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
        && caller.backend().trace(&name, on)
    {
        return Ok(StatusCode::NO_CONTENT);
    }
    let administration = caller.administration();
    let put = administration.put_vhost(caller.identity(), &name, command);
    let put = put.await?;
    if let Some(on) = tracing {
        caller.backend().trace(&name, on);
    }
    Ok(status(put))
}

async fn remove(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let administration = caller.administration();
    administration
        .delete_vhost(caller.identity(), &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
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
    let names = caller.backend().vhost_names();
    if !names.iter().any(|known| known.as_str() == name) {
        return Err(Refused::not_found());
    }
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
pub(super) fn definition(vhost: &VhostSnapshot) -> Value {
    let queue_type = vhost.default_queue_type.as_deref();
    let mut metadata = json!({ "description": vhost.description, "tags": vhost.tags });
    if let Some(queue_type) = queue_type {
        metadata["default_queue_type"] = queue_type.into();
    }
    json!({
        "name": vhost.name.as_str(),
        "description": vhost.description,
        "tags": vhost.tags,
        "default_queue_type": queue_type.unwrap_or("undefined"),
        "protected_from_deletion": vhost.protected_from_deletion,
        "metadata": metadata,
    })
}

fn view(caller: &Caller, vhost: &VhostSnapshot, listing: &Listing) -> Value {
    let mut columns = stats::columns(definition(vhost));
    columns.insert("tracing".to_owned(), vhost.tracing.into());
    columns.insert(
        "cluster_state".to_owned(),
        json!({ caller.about().node.as_str(): "running" }),
    );
    if vhost.default_queue_type.is_none() {
        columns.insert("default_queue_type".to_owned(), "classic".into());
    }
    let details = caller.details(Of::Vhost(&vhost.name), listing);
    columns.extend(stats::message_counts(&vhost.messages, &details));
    columns.insert(
        "message_stats".to_owned(),
        stats::message_stats(&vhost.message_stats, &details),
    );
    Value::Object(columns)
}
