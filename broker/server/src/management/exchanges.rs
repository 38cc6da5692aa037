//! Exchanges: `/api/exchanges`.

use std::collections::HashMap;

use amphora_protocol::wire::types::ExchangeName;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::backend::{DeclareExchange, DeleteExchange};
use super::body::Fields;
use super::caller::Caller;
use super::history::Of;
use super::json;
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

async fn list_all(caller: Caller, listing: Listing) -> Result<Response, Refused> {
    let vhosts = caller.vhosts();
    let exchanges = vhosts
        .iter()
        .flat_map(|vhost| caller.backend().exchanges(vhost));
    let views = exchanges.map(|exchange| view(&caller, &exchange, &listing));
    listing.list(views.collect(), ORDER)
}

async fn list(
    caller: Caller,
    Path(vhost): Path<String>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&vhost)?;
    let exchanges = caller.backend().exchanges(&vhost);
    let views = exchanges
        .iter()
        .map(|exchange| view(&caller, exchange, &listing));
    listing.list(views.collect(), ORDER)
}

async fn show(
    caller: Caller,
    Path((vhost, name)): Path<(String, String)>,
    listing: Listing,
) -> Result<Response, Refused> {
    caller.enter(&vhost)?;
    let exchange = caller.backend().exchange(&vhost, &exchange_name(&name)?);
    let exchange = exchange.ok_or_else(Refused::not_found)?;
    Ok(listing.one(view(&caller, &exchange, &listing)))
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

fn view(caller: &Caller, exchange: &ExchangeSnapshot, listing: &Listing) -> Value {
    let details = caller.details(Of::Exchange(&exchange.vhost, &exchange.name), listing);
    json!({
        "vhost": exchange.vhost.as_str(),
        "name": exchange.name.as_str(),
        "type": exchange.kind,
        "durable": exchange.durable,
        "auto_delete": exchange.auto_delete,
        "internal": exchange.internal,
        "arguments": json::from_table(&exchange.arguments),
        "messages_delayed": exchange.delayed,
        "messages_deduplicated": exchange.deduplicated,
        "policy": exchange.policies.policy.as_deref(),
        "operator_policy": exchange.policies.operator_policy.as_deref(),
        "effective_policy_definition": json::from_table(&exchange.policies.definition),
        "message_stats": details.beside(json!({
            "publish_in": exchange.published_in,
            "publish_out": exchange.published_out,
        })),
    })
}
