//! The document about the API: `/api/openapi.json`, open to everybody. It is made of the table that the router is made of.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Api;

pub(super) fn routes(document: Arc<str>) -> Router<Api> {
    let show = move || async move {
        let document = document.to_string();
        ([(CONTENT_TYPE, "application/json")], document).into_response()
    };
    Router::new().route("/openapi.json", get(show))
}
