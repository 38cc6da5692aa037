//! Plugins: `/api/plugins`. Whoever monitors may look, administrators may change.

use std::collections::HashMap;

use amphora_core::hook::{BodyNeeds, HeaderNeeds, Needs};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::backend::{PluginRefusal, PutPlugin};
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;
use super::snapshot::{
    Bucket, PluginLogLine, PluginMetric, PluginSnapshot, PluginState, PluginVersion,
};
use super::stats;
use crate::config::{ByteSize, Plugin};

/// The largest component that can be uploaded. Those of Python have some 20 MiB.
const COMPONENT_MAX: ByteSize = ByteSize::mib(64);

pub(super) fn routes() -> Routes {
    let body_max = usize::try_from(COMPONENT_MAX.as_bytes()).unwrap_or(usize::MAX);
    Routes::of("Plugins")
        .get("/plugins", list, "All plugins.")
        .get("/plugins/{name}", show, "A plugin and how it is doing.")
        .put("/plugins/{name}", put, "Uploads a component, with a new plugin's settings in the query.")
        .delete("/plugins/{name}", unload, "Takes a plugin out of force; with `force=true` also if there are exchanges of its type.")
        .post("/plugins/{name}/load", load, "Loads a plugin from its path again.")
        .post("/plugins/{name}/rollback", rollback, "Puts the previous version of a plugin in force again.")
        .get("/plugins/{name}/logs", log, "The last lines that a plugin logged.")
        .body_max(body_max)
}

async fn list(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    caller.must_monitor()?;
    let plugins = caller.backend().plugins().all();
    let views = plugins.iter().map(|plugin| view(&caller, plugin));
    listing.list(views.collect(), &["name"])
}

async fn show(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_monitor()?;
    let plugin = caller.backend().plugins().find(&name);
    Ok(listing.one(view(&caller, &plugin.ok_or_else(Refused::not_found)?)))
}

async fn log(
    caller: Caller,
    Path(name): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.must_monitor()?;
    let plugins = caller.backend().plugins();
    plugins.find(&name).ok_or_else(Refused::not_found)?;
    listing.list(plugins.log(&name).iter().map(view_line).collect(), &[])
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
        name,
        component,
        settings,
    };
    plugins.put(command).await?;
    Ok(if known.is_some() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    })
}

async fn load(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.backend().plugins().load(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn rollback(caller: Caller, Path(name): Path<String>) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    caller.backend().plugins().rollback(&name).await?;
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
    Ok(StatusCode::NO_CONTENT)
}

/// The types of exchange that plugins supply, as the overview lists types.
pub(super) fn exchange_types(caller: &Caller) -> Vec<Value> {
    let plugins = caller.backend().plugins().all();
    let view = |plugin: &PluginSnapshot| {
        Some(json!({
            "name": plugin.settings.exchange_type.as_ref()?,
            "description": format!("Supplied by plugin '{}'", plugin.settings.name),
            "enabled": plugin.version.is_some(),
        }))
    };
    plugins.iter().filter_map(view).collect()
}

fn view(caller: &Caller, plugin: &PluginSnapshot) -> Value {
    let mut columns = Map::new();
    columns.extend(settings(caller, &plugin.settings));
    columns.extend(state(plugin));
    columns.extend(figures(plugin));
    Value::Object(columns)
}

fn settings(caller: &Caller, plugin: &Plugin) -> Map<String, Value> {
    let kind = match plugin.exchange_type {
        Some(_) => "exchange",
        None => "transform",
    };
    let grants = plugin.grants.iter().map(|grant| grant.name());
    let mut columns = stats::columns(json!({
        "name": plugin.name,
        "path": plugin.path,
        "kind": kind,
        "exchange_type": plugin.exchange_type,
        "grants": grants.collect::<Vec<_>>(),
        "deadline_ms": stats::whole_millis(plugin.deadline),
        "memory_max": plugin.memory.as_bytes(),
        "kv_max": plugin.kv_size.as_bytes(),
        "on_error": plugin.on_error.name(),
        "dead_letter_exchange": plugin.dead_letter_exchange.as_deref(),
        "dead_letter_routing_key": plugin.dead_letter_routing_key.as_deref(),
    }));
    // Some have a password in there.
    if caller.identity().is_administrator() {
        columns.insert("config".to_owned(), json!(plugin.config));
    }
    columns
}

fn state(plugin: &PluginSnapshot) -> Map<String, Value> {
    let version = plugin.version.as_ref();
    let quarantine = match plugin.state {
        PluginState::Quarantined(left) => Some(stats::whole_millis(left)),
        _ => None,
    };
    let failure = plugin.last_error.as_ref();
    stats::columns(json!({
        "source": plugin.source.name(),
        "state": plugin.state.name(),
        "quarantine_left_ms": quarantine,
        "version": version.map(|version| &version.version),
        "hash": version.map(|version| &version.hash),
        "size": version.map(|version| version.size),
        "loaded_at": version.map(|version| stats::millis(version.loaded_at)),
        "described_name": version.map(|version| &version.described_name),
        "needs": version.map(|version| needs(&version.needs)),
        "previous": plugin.previous.as_ref().map(previous),
        "last_error": failure.map(|failure| json!({ "text": failure.text, "at": stats::millis(failure.at) })),
    }))
}

fn previous(version: &PluginVersion) -> Value {
    json!({
        "version": version.version,
        "hash": version.hash,
        "size": version.size,
        "loaded_at": stats::millis(version.loaded_at),
    })
}

fn figures(plugin: &PluginSnapshot) -> Map<String, Value> {
    let stats = &plugin.stats;
    let faults = stats.faults.iter();
    let faults: Map<_, _> = faults
        .map(|(fault, count)| (fault.name().to_owned(), (*count).into()))
        .collect();
    let metrics = plugin.metrics.iter();
    let metrics: Map<_, _> = metrics
        .map(|(name, metric)| (name.clone(), view_metric(*metric)))
        .collect();
    stats::columns(json!({
        "instances": plugin.instances,
        "memory": plugin.memory,
        "exchanges": plugin.exchanges,
        "calls": stats.calls,
        "messages": stats.messages,
        "batch_size": histogram(u128::from(stats.messages), stats.calls, &stats.batch_sizes),
        "ns_per_message": histogram(stats.time.as_nanos(), stats.messages, &stats.ns_per_message),
        "ns_per_call": histogram(stats.time.as_nanos(), stats.calls, &stats.ns_per_call),
        "cache_hits": stats.cache_hits,
        "errors": faults,
        "timeouts": stats.timeouts(),
        "failed_messages": stats.failed_messages,
        "lost_dead_letters": stats.lost_dead_letters,
        "lost_publishes": stats.lost_publishes,
        "quarantines": stats.quarantines,
        "loads": stats.loads,
        "failed_loads": stats.failed_loads,
        "kv_entries": plugin.kv_entries,
        "kv_bytes": plugin.kv_bytes,
        "log_lines_dropped": plugin.log_lines_dropped,
        "metrics_dropped": plugin.metrics_dropped,
        "metrics": metrics,
    }))
}

/// In the words of the contract.
fn needs(needs: &Needs) -> Value {
    let parts = [
        ("vhost", needs.parts.vhost),
        ("exchange", needs.parts.exchange),
        ("routing-key", needs.parts.routing_key),
        ("user", needs.parts.user),
        ("time", needs.parts.time),
        ("properties", needs.parts.properties),
    ];
    let parts = parts.into_iter().filter(|(_, needed)| *needed);
    json!({
        "parts": parts.map(|(name, _)| name).collect::<Vec<_>>(),
        "headers": match &needs.headers {
            HeaderNeeds::None => json!("none"),
            HeaderNeeds::Named(names) => json!(names),
            HeaderNeeds::All => json!("all"),
        },
        "body": match needs.body {
            BodyNeeds::None => json!("none"),
            BodyNeeds::Prefix(bytes) => json!(bytes),
            BodyNeeds::Whole => json!("whole"),
        },
        "pure": needs.pure,
    })
}

/// A mean, which there is none of nothing, and what it is the mean of.
fn histogram(sum: u128, count: u64, buckets: &[Bucket]) -> Value {
    let mean = sum.checked_div(u128::from(count));
    let buckets = buckets
        .iter()
        .map(|bucket| json!({ "at_most": bucket.at_most, "count": bucket.count }));
    json!({
        "mean": mean.map(|mean| u64::try_from(mean).unwrap_or(u64::MAX)),
        "histogram": buckets.collect::<Vec<_>>(),
    })
}

fn view_metric(metric: PluginMetric) -> Value {
    match metric {
        PluginMetric::Counter(count) => count.into(),
        PluginMetric::Gauge(value) => value.into(),
    }
}

fn view_line(line: &PluginLogLine) -> Value {
    json!({ "at": stats::millis(line.at), "level": line.level, "text": line.text })
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
