//! What a browser sees that comes to the management port: what this is, and where to go on.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use axum::routing::get;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route(
            "/page.css",
            get(|| async { ([(CONTENT_TYPE, "text/css")], STYLE).into_response() }),
        )
}
