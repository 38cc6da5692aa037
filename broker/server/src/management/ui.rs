//! The web UI: the files that `broker/ui` is built into, embedded in the program.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;

use super::refused::Refused;

const PAGE: &str = "index.html";

/// The name of what is below has a hash of its content in it, and so it never changes.
const HASHED: &str = "assets/";

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
struct Dist;

/// One file, as it goes out.
struct Asset {
    content_type: &'static str,
    etag: String,
    plain: Bytes,
    compressed: Bytes,
}

/// All files by their path, compressed when the first one is asked for.
static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    Dist::iter()
        .filter_map(|path| Some((path.to_string(), Asset::new(&path)?)))
        .collect()
});

pub(super) fn routes() -> Router {
    let page = |headers: HeaderMap| async move { serve(PAGE, &headers) };
    let asset = |Path(name): Path<String>, headers: HeaderMap| async move {
        serve(&format!("{HASHED}{name}"), &headers)
    };
    Router::new()
        .route("/", get(page))
        .route("/assets/{name}", get(asset))
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = ASSETS.get(path) else {
        return Refused::not_found().into_response();
    };
    let caching = if path.starts_with(HASHED) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let shared = [
        (CACHE_CONTROL, caching),
        (ETAG, asset.etag.as_str()),
        (VARY, "accept-encoding"),
    ];
    if names(headers, &IF_NONE_MATCH, &asset.etag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let kind = [(CONTENT_TYPE, asset.content_type)];
    if names(headers, &ACCEPT_ENCODING, "gzip") {
        let encoding = [(CONTENT_ENCODING, "gzip")];
        return (shared, kind, encoding, asset.compressed.clone()).into_response();
    }
    (shared, kind, asset.plain.clone()).into_response()
}

/// Whether a header is a list that has this in it.
fn names(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> bool {
    let lists = headers.get_all(header).into_iter();
    let mut items = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    items.any(|item| item.trim() == wanted)
}

impl Asset {
    fn new(path: &str) -> Option<Self> {
        let file = Dist::get(path)?;
        let plain = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => bytes.into(),
        };
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Into memory, which does not fail.
        encoder.write_all(&plain).ok()?;
        let hash = file.metadata.sha256_hash();
        Some(Self {
            content_type: content_type(path),
            etag: format!("\"{:016x}\"", u64::from_be_bytes(*hash.first_chunk()?)),
            plain,
            compressed: encoder.finish().ok()?.into(),
        })
    }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
