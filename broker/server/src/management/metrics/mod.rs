//! `/metrics` for Prometheus, under RabbitMQ's names where they mean the same, so that its dashboards show something.
//!
//! Figures are over the whole broker; `/metrics/per-object` has them for each queue, connection and channel, `/metrics/detailed` those that
//! are asked for. Whoever scrapes from this machine needs no login, anybody else one that may monitor.

mod broker;
mod exposition;
mod figures;
mod identity;
mod logins;
mod memory;
mod objects;
mod plugins;
mod store;

use std::collections::HashMap;

use axum::Router;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use regex::Regex;

use self::exposition::Exposition;
use self::objects::{Families, Objects};
use super::Api;
use super::caller::{Caller, Peer, is_loopback};
use super::refused::Refused;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/metrics", get(aggregated))
        .route("/metrics/per-object", get(per_object))
        .route("/metrics/detailed", get(detailed))
        .route("/metrics/memory-breakdown", get(memory_breakdown))
}

/// Somebody who may see the metrics.
struct Scraper;

impl FromRequestParts<Api> for Scraper {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Refused> {
        let peer = parts.extensions.get::<Peer>();
        if !peer.is_some_and(|peer| is_loopback(peer.0.ip())) {
            let caller = Caller::from_request_parts(parts, api).await?;
            caller.must_monitor()?;
        }
        Ok(Self)
    }
}

async fn aggregated(_: Scraper, State(api): State<Api>) -> Response {
    let mut metrics = Exposition::new("rabbitmq_");
    broker::all(&api, &mut metrics);
    let identity = identity::of(&api, "aggregated");
    answer([identity, metrics, of_store(&api), of_plugins(&api)])
}

async fn per_object(_: Scraper, State(api): State<Api>) -> Response {
    let mut metrics = Exposition::new("rabbitmq_");
    broker::without_totals(&api, &mut metrics);
    let everything = Objects {
        families: Families::All,
        vhosts: Vec::new(),
        queue: None,
    };
    everything.write(&api, &mut metrics);
    let identity = identity::of(&api, "per-object");
    answer([identity, metrics, of_store(&api), of_plugins(&api)])
}

async fn detailed(
    _: Scraper,
    State(api): State<Api>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Refused> {
    let values = |name: &str| {
        let values = query.iter().filter(|(key, _)| key == name);
        values.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    let single: HashMap<_, _> = query.iter().cloned().collect();
    let queue = single.get("queue").map(|pattern| {
        Regex::new(pattern)
            .map_err(|_| Refused::bad_request(format!("queue: {pattern} is no regular expression")))
    });
    let asked = Objects {
        families: Families::Named(values("family")),
        vhosts: values("vhost"),
        queue: queue.transpose()?,
    };
    let mut metrics = Exposition::new("rabbitmq_detailed_");
    asked.write(&api, &mut metrics);
    Ok(answer([metrics, identity::of(&api, "detailed")]))
}

async fn memory_breakdown(_: Scraper, State(api): State<Api>) -> Response {
    let mut metrics = Exposition::new("rabbitmq_");
    memory::all(&api, &mut metrics);
    answer([metrics, identity::of(&api, "memory-breakdown")])
}

fn of_plugins(api: &Api) -> Exposition {
    let mut metrics = Exposition::new("amphora_plugin_");
    plugins::all(api, &mut metrics);
    metrics
}

fn of_store(api: &Api) -> Exposition {
    let mut metrics = Exposition::new("amphora_");
    store::all(api, &mut metrics);
    metrics
}

fn answer<const N: usize>(parts: [Exposition; N]) -> Response {
    let text: String = parts.into_iter().map(Exposition::into_text).collect();
    ([(CONTENT_TYPE, TEXT)], text).into_response()
}
