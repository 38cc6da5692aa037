//! Which methods a path has (`OPTIONS`), and which pages of others may use the API in a browser.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ALLOW,
    ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::Management;

/// Whom the operator lets in.
#[derive(Debug)]
pub(super) struct Cors {
    origins: Vec<String>,
    max_age: HeaderValue,
}

impl Cors {
    pub(super) fn new(config: &Management) -> Arc<Self> {
        Arc::new(Self {
            origins: config.cors_allow_origins.clone(),
            max_age: config.cors_max_age.as_secs().into(),
        })
    }

    /// Answers what asks for methods, and tells the browser of a page that is let in that it is.
    pub(super) async fn apply(self: Arc<Self>, request: Request, next: Next) -> Response {
        let origin = request.headers().get(ORIGIN).cloned();
        let asks = request.method() == Method::OPTIONS;
        let asked = request
            .headers()
            .get(ACCESS_CONTROL_REQUEST_HEADERS)
            .cloned();
        let mut response = next.run(request).await;
        if asks && response.status() == StatusCode::METHOD_NOT_ALLOWED {
            response = methods(response.headers());
        }
        if !self.origins.is_empty() {
            let headers = response.headers_mut();
            headers.append(VARY, HeaderValue::from_static("origin"));
            if let Some(origin) = origin.filter(|origin| self.lets_in(origin)) {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                let yes = HeaderValue::from_static("true");
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
                if asks {
                    self.permit(headers, asked);
                }
            }
        }
        response
    }

    fn lets_in(&self, origin: &HeaderValue) -> bool {
        let mut origins = self.origins.iter();
        origins.any(|known| known == "*" || known.as_bytes() == origin.as_bytes())
    }

    /// What a browser that asks beforehand may send: the methods that there are, and the headers that it names.
    fn permit(&self, headers: &mut HeaderMap, asked: Option<HeaderValue>) {
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        if let Some(allow) = headers.get(ALLOW).cloned() {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow);
        }
        if let Some(asked) = asked {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
}

/// The methods of a path, as the refusal of one that it does not have tells them.
fn methods(refusal: &HeaderMap) -> Response {
    let known = refusal.get(ALLOW).and_then(|allow| allow.to_str().ok());
    let allow = format!("{},OPTIONS", known.unwrap_or_default());
    let allow = HeaderValue::from_str(allow.trim_start_matches(','));
    let mut response = StatusCode::OK.into_response();
    if let Ok(allow) = allow {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}
