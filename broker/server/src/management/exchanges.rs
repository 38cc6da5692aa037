//! Exchanges: `/api/exchanges`.

use std::collections::HashMap;

use amphora_protocol::wire::types::ExchangeName;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer::{Many, One};
use super::backend::{DeclareExchange, DeleteExchange};
use super::body::Fields;
use super::caller::Caller;
use super::history::{Details, Of};
use super::json::{Object, from_table};
use super::listing::Listing;
use super::refused::Refused;
use super::routes::{Kind, Routes, optional, required};
use super::snapshot::ExchangeSnapshot;

const ORDER: &[&str] = &["vhost", "name"];

pub(super) fn routes() -> Routes {
    Routes::of("Exchanges")
        .get("/exchanges", list_all, "All exchanges.")
        .get(
            "/exchanges/{vhost}",
            list,
            "The exchanges of a virtual host.",
        )
        .get(
            "/exchanges/{vhost}/{name}",
            show,
            "An exchange. The default exchange is called `amq.default`.",
        )
        .put(
            "/exchanges/{vhost}/{name}",
            declare,
            "Declares an exchange.",
        )
        .with([
            required("type", Kind::Text),
            optional("durable", Kind::Flag),
            optional("auto_delete", Kind::Flag),
            optional("internal", Kind::Flag),
            optional("arguments", Kind::Object),
        ])
        .delete(
            "/exchanges/{vhost}/{name}",
            remove,
            "Deletes an exchange; with `if-unused=true` only if nothing is bound to it.",
        )
}

async fn list_all(caller: Caller, listing: Listing) -> Result<Many<Exchange>, Refused> {
    let vhosts = caller.vhosts();
    let exchanges = vhosts
        .iter()
        .flat_map(|vhost| caller.backend().exchanges(vhost));
    let views = exchanges.map(|exchange| view(&caller, &exchange, &listing));
    listing.list(views, ORDER)
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Many<Exchange>, Refused> {
    caller.enter(&vhost)?;
    let exchanges = caller.backend().exchanges(&vhost);
    let views = exchanges
        .iter()
        .map(|exchange| view(&caller, exchange, &listing));
    listing.list(views, ORDER)
}

async fn show(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<One<ExchangeWithPeers>, Refused> {
    caller.enter(&vhost)?;
    let exchange = caller.backend().exchange(&vhost, &exchange_name(&name)?);
    let exchange = exchange.ok_or_else(Refused::not_found)?;
    Ok(listing.one(ExchangeWithPeers {
        exchange: view(&caller, &exchange, &listing),
        incoming: [],
        outgoing: [],
    }))
}

async fn declare(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    body: Fields,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(&vhost)?;
    let name = exchange_name(&name)?;
    let existed = caller.backend().exchange(&vhost, &name).is_some();
    let command = DeclareExchange {
        name,
        kind: body.text("type")?.unwrap_or("direct").to_owned(),
        durable: body.flag("durable")?,
        auto_delete: body.flag("auto_delete")?,
        internal: body.flag("internal")?,
        arguments: body.table("arguments")?,
    };
    caller.backend().declare_exchange(&access, command).await?;
    Ok(if existed {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::CREATED
    })
}

async fn remove(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<StatusCode, Refused> {
    let access = caller.enter(&vhost)?;
    let name = exchange_name(&name)?;
    caller
        .backend()
        .exchange(&vhost, &name)
        .ok_or_else(Refused::not_found)?;
    let if_unused = query.get("if-unused").is_some_and(|value| value == "true");
    caller
        .backend()
        .delete_exchange(&access, DeleteExchange { name, if_unused })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// In a path, which can have no empty part, the default exchange is called `amq.default`.
pub(super) fn exchange_name(name: &str) -> Result<ExchangeName, Refused> {
    let name = if name == "amq.default" { "" } else { name };
    ExchangeName::new(name).map_err(|error| Refused::bad_request(error.to_string()))
}

/// An exchange.
#[derive(Serialize, JsonSchema)]
struct Exchange {
    /// The virtual host that it is in.
    vhost: String,
    /// Its name; empty for the default exchange.
    name: String,
    /// Its type: `direct`, `topic`, …
    #[serde(rename = "type")]
    kind: String,
    /// Survives a restart.
    durable: bool,
    /// Is deleted with its last binding.
    auto_delete: bool,
    /// Only other exchanges may publish to it.
    internal: bool,
    /// What it was declared with.
    arguments: Object,
    /// Who declared it: `rmq-internal` of the broker's own, `unknown` if nobody has noted it.
    user_who_performed_action: String,
    /// Messages that wait at it for their time.
    messages_delayed: u64,
    /// Duplicates that it has dropped.
    messages_deduplicated: u64,
    /// The policy that applies to it.
    policy: Option<String>,
    /// The operator policy that applies to it.
    operator_policy: Option<String>,
    /// What both come to.
    effective_policy_definition: Object,
    message_stats: Traffic,
}

/// An exchange with what it exchanges with whom.
#[derive(Serialize, JsonSchema)]
struct ExchangeWithPeers {
    #[serde(flatten)]
    exchange: Exchange,
    /// By channel: not counted, as with RabbitMQ's `rates_mode` `basic`.
    incoming: [(); 0],
    /// By queue: not counted, likewise.
    outgoing: [(); 0],
}

/// What an exchange has routed.
#[derive(Serialize, JsonSchema)]
struct Traffic {
    /// Messages that came in.
    publish_in: u64,
    /// Messages that went to queues or exchanges, counted for each.
    publish_out: u64,
    #[serde(flatten)]
    details: Details,
}

fn view(caller: &Caller, exchange: &ExchangeSnapshot, listing: &Listing) -> Exchange {
    let policies = &exchange.policies;
    Exchange {
        vhost: exchange.vhost.to_string(),
        name: exchange.name.to_string(),
        kind: exchange.kind.clone(),
        durable: exchange.durable,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: from_table(&exchange.arguments),
        user_who_performed_action: match &*exchange.declared_by {
            "" => "unknown".to_owned(),
            user => user.to_owned(),
        },
        messages_delayed: exchange.delayed,
        messages_deduplicated: exchange.deduplicated,
        policy: policies.policy.as_deref().map(str::to_owned),
        operator_policy: policies.operator_policy.as_deref().map(str::to_owned),
        effective_policy_definition: from_table(&policies.definition),
        message_stats: Traffic {
            publish_in: exchange.published_in,
            publish_out: exchange.published_out,
            details: caller.details(Of::Exchange(&exchange.vhost, &exchange.name), listing),
        },
    }
}
