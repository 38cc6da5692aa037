//! What can be changed of the configuration while the broker runs, until the file says otherwise: `/api/settings`.

use axum::http::StatusCode;
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::backend::ChangeSettings;
use super::body::Fields;
use super::caller::Caller;
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
}

async fn show(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let settings = caller.backend().settings();
    Ok(listing.one(json!({
        "log_level": settings.log_level,
        "memory_mark": settings.memory_mark,
        "disk_free_limit": settings.disk_free_limit,
    })))
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
