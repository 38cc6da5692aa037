//! Everything that there is, as one file: `/api/definitions`, in RabbitMQ's format.

mod export;
mod import;
mod progress;
mod upload;

use std::fmt::Write as _;
use std::path::Path as FilePath;

use anyhow::Context;
use axum::extract::Path;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use self::export::Definitions;
use self::import::import;
pub(super) use self::progress::Progress;
use self::progress::ProgressView;
use self::upload::Upload;
use super::answer::One;
use super::backend::Backend;
use super::caller::Caller;
use super::listing::Listing;
use super::refused::Refused;
use super::routes::Routes;
use crate::auth::Identity;

/// The largest file that is taken: some 100,000 queues.
const BODY_MAX: usize = 64 << 20;

pub(super) fn routes() -> Routes {
    Routes::of("Definitions")
        .get(
            "/definitions",
            show,
            "All definitions: users, virtual hosts, policies, topology.",
        )
        .post("/definitions", take, "Takes definitions in.")
        .get(
            "/definitions/{vhost}",
            show_vhost,
            "The definitions of a virtual host.",
        )
        .post(
            "/definitions/{vhost}",
            take_vhost,
            "Takes definitions into a virtual host.",
        )
        .get(
            "/all-configuration",
            show,
            "All definitions, under an older name.",
        )
        .post(
            "/all-configuration",
            take,
            "Takes definitions in, under an older name.",
        )
        .body_max(BODY_MAX)
        .get(
            "/imports",
            show_progress,
            "How far imports of definitions are that are under way.",
        )
}

async fn show_progress(caller: Caller, listing: Listing) -> Result<One<ProgressView>, Refused> {
    caller.must_administrate()?;
    Ok(listing.one(caller.imports().view()))
}

async fn show(caller: Caller, headers: HeaderMap) -> Result<One<Definitions>, Refused> {
    caller.must_administrate()?;
    let node = &caller.about().node;
    let whole = export::whole(caller.backend(), caller.users(), node);
    tagged(&headers, &whole)
}

async fn show_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    headers: HeaderMap,
) -> Result<One<Definitions>, Refused> {
    caller.must_administrate()?;
    must_exist(&caller, &vhost)?;
    let definitions = export::of_vhost(caller.backend(), &vhost);
    tagged(&headers, &definitions)
}

/// Definitions with a tag of their content, or nothing if whoever asks has them already.
fn tagged(headers: &HeaderMap, definitions: &Definitions) -> Result<One<Definitions>, Refused> {
    let value = serde_json::to_value(definitions);
    let body = value.map_err(|error| Refused::untold(&error))?.to_string();
    let hash = Sha256::digest(body.as_bytes());
    let tag = hash.iter().take(16).fold(String::new(), |mut tag, byte| {
        let _ = write!(tag, "{byte:02x}");
        tag
    });
    let tag = format!("\"{tag}\"");
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|known| known.to_str().ok());
    let mut known = known.flat_map(|known| known.split(',')).map(str::trim);
    if known.any(|known| known == "*" || known.trim_start_matches("W/") == tag) {
        return Ok(One::written((StatusCode::NOT_MODIFIED, [(ETAG, tag)])));
    }
    let json = "application/json".to_owned();
    Ok(One::written(([(ETAG, tag), (CONTENT_TYPE, json)], body)))
}

async fn take(caller: Caller, Upload(body): Upload) -> Result<StatusCode, Refused> {
    caller.must_administrate()?;
    take_file(&caller, &body, None).await
}

async fn take_vhost(
    caller: Caller,
    Path(vhost): Path<String>,
    Upload(body): Upload,
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
    let progress = caller.imports();
    import(caller.backend(), caller.identity(), &file, vhost, progress)
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
    import(backend, &by, &definitions, None, &Progress::default())
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
