//! The configuration that is in force: `/api/config/effective`; and what can be changed of it while the broker runs, until the file says
//! otherwise: `/api/settings`.

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::One;
use super::backend::ChangeSettings;
use super::body::Fields;
use super::caller::Caller;
use super::json::Object;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional};

pub(super) fn routes() -> Routes {
    Routes::of("Settings")
        .get("/settings", show, "The log level, and the marks of the alarms.")
        .put(
            "/settings",
            change,
            "Changes some of them until the configuration's file says otherwise, or the broker ends.",
        )
        .with([
            optional("log_level", Kind::Text),
            optional("memory_mark", Kind::Text),
            optional("disk_free_limit", Kind::Text),
        ])
        .get(
            "/config/effective",
            effective,
            "The configuration that is in force, but for users, plugins and where they are attached, which have paths of their own.",
        )
}

/// What can be changed while the broker runs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Settings")]
struct SettingsView {
    /// What is logged: a level, optionally with levels per part.
    log_level: String,
    /// Bytes of memory above which publishers are blocked.
    memory_mark: u64,
    /// Bytes of the disk below which publishers are blocked.
    disk_free_limit: u64,
}

async fn show(caller: Caller, listing: Listing) -> Result<One<SettingsView>, Refused> {
    caller.must_administrate()?;
    let settings = caller.backend().settings();
    Ok(listing.one(SettingsView {
        log_level: settings.log_level,
        memory_mark: settings.memory_mark,
        disk_free_limit: settings.disk_free_limit,
    }))
}

async fn effective(caller: Caller, listing: Listing) -> Result<One<Object>, Refused> {
    caller.must_administrate()?;
    let about = caller.about();
    let settings = caller.backend().settings();
    let mut config = (*about.config).clone();
    config.limits = settings.limits;
    config.logging.level = settings.log_level;
    if let Some(tls) = &about.tls {
        config.tls = tls.files();
    }
    let shown = config.shown().map_err(|error| Refused::untold(&error))?;
    Ok(listing.one(shown))
}

async fn change(caller: Caller, body: Fields) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    let change = ChangeSettings {
        log_level: body.text("log_level")?.map(str::to_owned),
        memory_mark: setting(&body, "memory_mark")?,
        disk_free_limit: setting(&body, "disk_free_limit")?,
    };
    let changed = caller.backend().change_settings(caller.identity(), &change);
    changed.map_err(Refused::bad_request)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A value as the configuration has it.
fn setting<T: DeserializeOwned>(body: &Fields, name: &str) -> Result<Option<T>, Refused> {
    let value = body.value(name).filter(|value| !value.is_null());
    let read = |value: &Value| {
        serde_json::from_value(value.clone())
            .map_err(|error| Refused::bad_request(format!("{name}: {error}")))
    };
    value.map(read).transpose()
}
