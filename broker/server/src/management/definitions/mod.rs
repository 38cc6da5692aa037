//! Everything that there is, as one file: `/api/definitions`, in RabbitMQ's format.

mod export;
mod import;

use anyhow::Context;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value};
use std::path::Path as FilePath;

use self::import::import;
use super::Api;
use super::backend::Backend;
use super::caller::Caller;
use super::refused::Refused;
use crate::auth::Identity;

/// The largest file that is taken: some 100,000 queues.
const BODY_MAX: usize = 64 << 20;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/definitions", get(show).post(take))
        .route("/definitions/{vhost}", get(show_vhost).post(take_vhost))
        .layer(DefaultBodyLimit::max(BODY_MAX))
}

async fn show(caller: Caller) -> Result<Response, Refused> {
    caller.must_administrate()?;
    let node = &caller.about().node;
    let whole = export::whole(caller.backend(), caller.users(), node);
    Ok(Json(whole).into_response())
}

async fn show_vhost(caller: Caller, Path(vhost): Path<String>) -> Result<Response, Refused> {
    caller.must_administrate()?;
    must_exist(&caller, &vhost)?;
    Ok(Json(export::of_vhost(caller.backend(), &vhost)).into_response())
}

async fn take(caller: Caller, body: Bytes) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    take_file(&caller, &body, None).await
}

async fn take_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    must_exist(&caller, &vhost)?;
    take_file(&caller, &body, Some(&vhost)).await
}

async fn take_file(
    caller: &Caller,
    body: &[u8],
    vhost: Option<&str>,
) -> Result<StatusCode, Refused> {
    let file: Map<String, Value> =
        serde_json::from_slice(body).map_err(|_| Refused::bad_request("failed_to_parse_json"))?;
    import(caller.backend(), caller.identity(), &file, vhost)
        .await
        .map_err(Refused::bad_request)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes in a file at the start of the broker.
///
/// # Errors
/// It cannot be read, or what is in it cannot be taken in.
pub(crate) async fn load(backend: &dyn Backend, file: &FilePath) -> anyhow::Result<()> {
    let text = std::fs::read(file)?;
    let definitions = serde_json::from_slice(&text).context("it is no JSON")?;
    let by = Identity::of_the_broker();
    import(backend, &by, &definitions, None)
        .await
        .map_err(anyhow::Error::msg)?;
    tracing::info!(file = %file.display(), "definitions taken in");
    Ok(())
}

fn must_exist(caller: &Caller, vhost: &str) -> Result<(), Refused> {
    let names = caller.backend().vhost_names();
    if names.iter().any(|name| name.as_str() == vhost) {
        Ok(())
    } else {
        Err(Refused::no_vhost())
    }
}
