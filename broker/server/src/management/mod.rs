//! The management API: RabbitMQ's paths and shapes, over HTTP.
//!
//! Handlers see the broker through [`Backend`] only. Each resource has a file with its routes, its handlers and its JSON; what
//! they share is who calls ([`caller`]), what a list may be asked for ([`listing`]), and how a refusal looks ([`refused`]).

#![expect(
    clippy::struct_field_names,
    reason = "what answers have is called as RabbitMQ calls it"
)]

mod answer;
mod attempts;
pub mod backend;
mod bindings;
mod body;
mod browsing;
mod caller;
mod cluster;
mod connections;
mod consumers;
mod cors;
pub(crate) mod definitions;
mod delayed;
mod exchanges;
#[cfg(test)]
pub(crate) mod fake;
mod health;
mod history;
mod in_turn;
pub(crate) mod json;
mod limits;
mod listing;
mod logs;
mod messages;
mod metrics;
mod nodes;
mod offsets;
mod openapi;
mod overview;
mod pace;
mod parameters;
mod permissions;
mod plugins;
mod policies;
mod properties;
mod queues;
mod refused;
mod route;
mod routes;
mod server;
mod sessions;
mod settings;
pub mod snapshot;
mod stats;
mod stirring;
#[cfg(test)]
mod tests;
mod ui;
mod unacked;
mod users;
mod vhosts;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::HeaderValue;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tracing::Span;

pub use self::backend::Backend;
use self::cors::Cors;
use self::history::History;
use self::pace::Pace;
use self::refused::Refused;
pub use self::server::Server;
use self::sessions::Sessions;
pub use self::stirring::Stirring;
use crate::auth::Users;
use crate::config::{ByteSize, Config, Durability, Management};
use crate::tls::Acceptor;

/// The API, ready to answer. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Parts>);

struct Parts {
    backend: Arc<dyn Backend>,
    users: Arc<Users>,
    about: About,
    sessions: Sessions,
    history: History,
    pace: Pace,
    imports: definitions::Progress,
}

/// What does not change while the broker runs.
#[derive(Clone, Debug)]
pub struct About {
    /// The node's name: `amphora@host`.
    pub node: String,
    /// Where the broker listens.
    pub listeners: Vec<Listener>,
    /// What the broker was started with.
    pub config: Arc<Config>,
    /// Where the configuration is from, if there is a file.
    pub config_file: Option<PathBuf>,
    /// What a confirm promises.
    pub durability: Durability,
    /// The largest message.
    pub message_size_max: ByteSize,
    /// What callers may do.
    pub management: Management,
    /// What takes TLS handshakes, if the broker does.
    pub tls: Option<Acceptor>,
}

/// An address that the broker listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// `amqp`, `amqp/ssl` or `http`, as RabbitMQ calls them.
    pub protocol: &'static str,
    /// Where.
    pub address: SocketAddr,
}

impl Listener {
    /// Connections that may wait to be accepted.
    pub const BACKLOG: u32 = 1024;
}

impl Api {
    /// An API to this broker, for these users.
    pub fn new(backend: Arc<dyn Backend>, users: Arc<Users>, about: About) -> Self {
        let pace = Pace::new(&about.management);
        Self(Arc::new(Parts {
            backend,
            users,
            about,
            sessions: Sessions::default(),
            history: History::default(),
            pace,
            imports: definitions::Progress::default(),
        }))
    }

    fn router(self) -> Router {
        // A body travels as base64, which is a third longer, beside its properties.
        let body_max = self.about().message_size_max.as_bytes().saturating_mul(2);
        let routes = overview::routes()
            .merge(nodes::routes())
            .merge(cluster::routes())
            .merge(attempts::routes())
            .merge(vhosts::routes())
            .merge(users::routes())
            .merge(permissions::routes())
            .merge(policies::routes())
            .merge(parameters::routes())
            .merge(limits::routes())
            .merge(definitions::routes())
            .merge(queues::routes())
            .merge(unacked::routes())
            .merge(offsets::routes())
            .merge(exchanges::routes())
            .merge(bindings::routes())
            .merge(messages::routes())
            .merge(route::routes())
            .merge(browsing::routes())
            .merge(delayed::routes())
            .merge(connections::routes())
            .merge(consumers::routes())
            .merge(plugins::routes())
            .merge(settings::routes())
            .merge(health::routes())
            .merge(logs::routes())
            .merge(sessions::routes());
        let (routes, document) = routes.into_parts();
        let document: Arc<str> = document.into();
        let api = routes
            .merge(openapi::routes(document))
            .fallback(|| async { Refused::not_found() })
            .layer(DefaultBodyLimit::max(
                usize::try_from(body_max).unwrap_or(usize::MAX),
            ))
            .with_state(self.clone());
        let cors = Cors::new(&self.about().management);
        let paced = self.clone();
        let routes = Router::new()
            .merge(ui::routes())
            .merge(metrics::routes().with_state(self))
            .nest("/api", api)
            .layer(from_fn(harden));
        // Around the router as a whole, which is what knows the methods of a path.
        Router::new()
            .fallback_service(routes)
            .layer(from_fn(move |request, next| {
                Arc::clone(&cors).apply(request, next)
            }))
            .layer(from_fn(move |request, next| {
                let api = paced.clone();
                async move {
                    api.history().rouse(api.backend());
                    api.0.pace.apply(request, next).await
                }
            }))
            .layer(from_fn(trim))
    }

    fn backend(&self) -> &dyn Backend {
        &*self.0.backend
    }

    fn users(&self) -> &Users {
        &self.0.users
    }

    fn about(&self) -> &About {
        &self.0.about
    }

    fn history(&self) -> &History {
        &self.0.history
    }

    fn imports(&self) -> &definitions::Progress {
        &self.0.imports
    }

    fn pace(&self) -> &Pace {
        &self.0.pace
    }

    fn sessions(&self) -> &Sessions {
        &self.0.sessions
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Api").field(self.about()).finish()
    }
}

/// A path that ends in a slash is the one without it, as with RabbitMQ.
async fn trim(mut request: Request, next: Next) -> Response {
    let uri = request.uri();
    if let Some(path) = uri.path().strip_suffix('/').filter(|path| !path.is_empty()) {
        let trimmed = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path.to_owned(),
        };
        // Whatever cannot be a path was none before.
        if let Ok(trimmed) = trimmed.parse() {
            *request.uri_mut() = trimmed;
        }
    }
    next.run(request).await
}

/// Nothing from elsewhere is loaded, nothing is guessed, nothing is kept. A page's own requests learn of a login that failed without the
/// browser asking for one.
async fn harden(request: Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
        base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        Span::current().record("http.route", route.as_str());
    }
    let is_of_page = request.headers().contains_key(sessions::REQUESTED_WITH);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if is_of_page {
        headers.remove(WWW_AUTHENTICATE);
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}
