//! Plugins: `/api/plugins`. Whoever monitors may look, administrators may change.

mod view;

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;

use self::view::{LogLine, view, view_line};
use super::answer::{Many, One};
use super::backend::{PluginRefusal, PutPlugin};
use super::caller::Caller;
use super::listing::Listing;
use super::overview::ExchangeType;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::PluginSnapshot;
use crate::config::{ByteSize, Plugin};

/// The largest component that can be uploaded. Those of Python have some 20 MiB.
const COMPONENT_MAX: ByteSize = ByteSize::mib(64);

pub(super) fn routes() -> Routes {
    let body_max = usize::try_from(COMPONENT_MAX.as_bytes()).unwrap_or(usize::MAX);
    Routes::of("Plugins")
        .get("/plugins", list, "All plugins.")
        .get("/plugins/{name}", show, "A plugin and how it is doing.")
        .put("/plugins/{name}", put, "Uploads a component, with a new plugin's settings in the query: `exchange-type`, `grants` (with commas), `deadline`, `memory`, `kv-size`, `on-error`, `dead-letter-exchange`, `dead-letter-routing-key`, `config` (a JSON object). In the place of a plugin with a path, it is in force until the next load from there.")
        .delete("/plugins/{name}", unload, "Takes a plugin out of force; with `force=true` also if there are exchanges of its type, or it is attached somewhere.")
        .post("/plugins/{name}/load", load, "Loads a plugin from its path again.")
        .post("/plugins/{name}/rollback", rollback, "Puts the previous version of a plugin in force again.")
        .get("/plugins/{name}/logs", log, "The last lines that a plugin logged.")
        .body_max(body_max)
}

async fn list(caller: Caller, listing: Listing) -> Result<Many<view::Plugin>, Refused> {
    caller.must_monitor()?;
    let plugins = caller.backend().plugins().all();
    let views = plugins.iter().map(|plugin| view(&caller, plugin));
    listing.list(views, &["name"])
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<One<view::Plugin>, Refused> {
    caller.must_monitor()?;
    let plugin = caller.backend().plugins().find(&name);
    Ok(listing.one(view(&caller, &plugin.ok_or_else(Refused::not_found)?)))
}

async fn log(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Many<LogLine>, Refused> {
    caller.must_monitor()?;
    let plugins = caller.backend().plugins();
    plugins.find(&name).ok_or_else(Refused::not_found)?;
    listing.list(plugins.log(&name).iter().map(view_line), &[])
}

/// The body is the component; the query has the settings, with the keys of `[[plugin]]`.
async fn put(
    caller: Caller,
    Path(name): Path<String>,
    Query(given): Query<Vec<(String, String)>>,
    component: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let component = component.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refused::too_large(format!("the component is larger than {COMPONENT_MAX}"))
        }
        _ => Refused::bad_request(rejection.body_text()),
    })?;
    if component.is_empty() {
        return Err(Refused::bad_request("the body has to be the component"));
    }
    let plugins = caller.backend().plugins();
    let known = plugins.find(&name);
    let settings = match &known {
        Some(_) if given.is_empty() => None,
        Some(known) if known.settings.path.is_some() => {
            let text = format!(
                "plugin '{name}' has its settings from the configuration; change them there"
            );
            return Err(Refused::conflict(text));
        }
        _ => {
            let given = given.iter().map(|(key, value)| (&**key, &**value));
            let settings = Plugin::uploaded(&name, given);
            Some(settings.map_err(|error| Refused::bad_request(error.to_string()))?)
        }
    };
    let command = PutPlugin {
        name: name.clone(),
        component,
        settings,
    };
    plugins.put(command).await?;
    note(&caller, &name, "uploaded");
    Ok(if known.is_some() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    })
}

async fn load(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.backend().plugins().load(&name).await?;
    note(&caller, &name, "loaded from its path");
    Ok(StatusCode::NO_CONTENT)
}

async fn rollback(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.backend().plugins().rollback(&name).await?;
    note(&caller, &name, "rolled back");
    Ok(StatusCode::NO_CONTENT)
}

async fn unload(
    caller: Caller,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let force = query.get("force").is_some_and(|value| value == "true");
    caller.backend().plugins().unload(&name, force).await?;
    note(&caller, &name, "unloaded");
    Ok(StatusCode::NO_CONTENT)
}

/// One line for each change.
fn note(caller: &Caller, plugin: &str, what: &str) {
    let by = caller.identity().user();
    tracing::info!(target: "amphora::audit", %by, plugin, "plugin {what}");
}

/// The types of exchange that plugins supply, as the overview lists types.
pub(super) fn exchange_types(caller: &Caller) -> Vec<ExchangeType> {
    let plugins = caller.backend().plugins().all();
    let view = |plugin: &PluginSnapshot| {
        Some(ExchangeType {
            name: plugin.settings.exchange_type.clone()?,
            description: format!("Supplied by plugin '{}'", plugin.settings.name),
            enabled: plugin.version.is_some(),
        })
    };
    plugins.iter().filter_map(view).collect()
}

impl From<PluginRefusal> for Refused {
    fn from(refusal: PluginRefusal) -> Self {
        match refusal {
            PluginRefusal::NoPlugin => Self::not_found(),
            PluginRefusal::Conflict(reason) => Self::conflict(reason),
            PluginRefusal::Unusable(reason) => Self::bad_request(reason),
            PluginRefusal::Failed(reason) => Self::unavailable(reason),
        }
    }
}
