//! `cases.toml` as it is written.

use std::collections::{BTreeMap, BTreeSet};

use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey, ShortString, VhostName};
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use serde::Deserialize;

use super::expect::ExpectedBody;
use super::file_expect::Expect;
use super::value;
use super::{CaseMessage, Cases, DeclaredBinding, DeclaredExchange};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    #[serde(default)]
    grants: BTreeSet<String>,
    #[serde(default)]
    config: toml::Table,
    #[serde(default, rename = "exchange")]
    exchanges: Vec<Exchange>,
    #[serde(default, rename = "message")]
    messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Exchange {
    name: String,
    #[serde(default = "default_vhost")]
    vhost: String,
    #[serde(default)]
    arguments: toml::Table,
    refused: Option<String>,
    #[serde(default, rename = "binding")]
    bindings: Vec<Binding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Binding {
    destination: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    arguments: toml::Table,
    refused: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Message {
    name: Option<String>,
    vhost: Option<String>,
    exchange: Option<String>,
    queue: Option<String>,
    #[serde(default)]
    key: String,
    #[serde(default)]
    headers: toml::Table,
    #[serde(default)]
    properties: Properties,
    body: Option<String>,
    body_base64: Option<String>,
    body_json: Option<serde_json::Value>,
    #[serde(default = "default_user")]
    user: String,
    #[serde(default)]
    time: u64,
    expect: Expect,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Properties {
    content_type: Option<String>,
    content_encoding: Option<String>,
    delivery_mode: Option<u8>,
    priority: Option<u8>,
    correlation_id: Option<String>,
    reply_to: Option<String>,
    expiration: Option<String>,
    message_id: Option<String>,
    timestamp: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    user_id: Option<String>,
    app_id: Option<String>,
    cluster_id: Option<String>,
}

fn default_vhost() -> String {
    "/".to_owned()
}

fn default_user() -> String {
    "guest".to_owned()
}

impl File {
    pub(super) fn into_cases(self) -> anyhow::Result<Cases> {
        let exchanges: Vec<DeclaredExchange> = self
            .exchanges
            .into_iter()
            .map(|exchange| {
                let name = exchange.name.clone();
                exchange
                    .read()
                    .with_context(|| format!("exchange '{name}'"))
            })
            .collect::<Result<_, _>>()?;
        let messages = self
            .messages
            .into_iter()
            .enumerate()
            .map(|(index, message)| {
                let number = format!("message {}", index + 1);
                let name = match &message.name {
                    Some(name) => format!("{number}, '{name}'"),
                    None => number,
                };
                message.read(name.clone(), &exchanges).context(name)
            });
        Ok(Cases {
            messages: messages.collect::<Result<_, _>>()?,
            grants: self.grants,
            config: config(self.config)?,
            exchanges,
        })
    }
}

/// A text as it is, anything else as JSON.
fn config(table: toml::Table) -> anyhow::Result<BTreeMap<String, String>> {
    let texts = table.into_iter().map(|(key, value)| {
        let text = match value {
            toml::Value::String(text) => text,
            other => serde_json::to_string(&other).with_context(|| format!("config '{key}'"))?,
        };
        Ok((key, text))
    });
    texts.collect()
}

impl Exchange {
    fn read(self) -> anyhow::Result<DeclaredExchange> {
        let bindings = self
            .bindings
            .into_iter()
            .enumerate()
            .map(|(index, binding)| {
                let place = format!("binding {} to '{}'", index + 1, binding.destination);
                binding.read().context(place)
            });
        Ok(DeclaredExchange {
            bindings: bindings.collect::<Result<_, _>>()?,
            vhost: VhostName::new(&self.vhost).context("vhost")?,
            name: ExchangeName::new(&self.name).context("name")?,
            arguments: value::table(&self.arguments).context("arguments")?,
            refused: self.refused,
        })
    }
}

impl Binding {
    fn read(self) -> anyhow::Result<DeclaredBinding> {
        Ok(DeclaredBinding {
            routing_key: RoutingKey::new(&self.key).context("key")?,
            arguments: value::table(&self.arguments).context("arguments")?,
            destination: self.destination,
            refused: self.refused,
        })
    }
}

impl Message {
    fn read(self, name: String, exchanges: &[DeclaredExchange]) -> anyhow::Result<CaseMessage> {
        let body = body(self.body, self.body_base64, self.body_json)?;
        let mut properties = self.properties.read()?;
        if !self.headers.is_empty() {
            properties.headers = Some(value::table(&self.headers).context("headers")?);
        }
        let (vhost, exchange) = place(self.vhost, self.exchange, exchanges)?;
        Ok(CaseMessage {
            name,
            vhost,
            exchange,
            queue: self.queue,
            routing_key: RoutingKey::new(&self.key).context("key")?,
            properties,
            body: body.map_or_else(Bytes::new, ExpectedBody::into_bytes),
            user: self.user,
            time_ms: self.time,
            expect: self.expect.read().context("expect")?,
        })
    }
}

/// Where a message is published: what it says, or else the only exchange that there is.
fn place(
    vhost: Option<String>,
    exchange: Option<String>,
    exchanges: &[DeclaredExchange],
) -> anyhow::Result<(VhostName, ExchangeName)> {
    let named = exchange.as_deref();
    let declared = match (named, exchanges) {
        (None, [only]) => Some(only),
        (None, [_, _, ..]) => {
            bail!("`exchange` must say to which of the exchanges it is published")
        }
        (name, all) => all
            .iter()
            .find(|exchange| Some(exchange.name.as_str()) == name),
    };
    let vhost = match (vhost, declared) {
        (Some(vhost), _) => VhostName::new(vhost).context("vhost")?,
        (None, Some(declared)) => declared.vhost.clone(),
        (None, None) => VhostName::new(default_vhost()).context("vhost")?,
    };
    let exchange = match (exchange, declared) {
        (None, Some(declared)) => declared.name.clone(),
        (name, _) => ExchangeName::new(name.unwrap_or_default()).context("exchange")?,
    };
    Ok((vhost, exchange))
}

/// A body in one of the three ways to write it.
pub(super) fn body(
    text: Option<String>,
    base64: Option<String>,
    json: Option<serde_json::Value>,
) -> anyhow::Result<Option<ExpectedBody>> {
    let given = [text.is_some(), base64.is_some(), json.is_some()];
    ensure!(
        given.into_iter().filter(|given| *given).count() <= 1,
        "only one of body, body-base64 and body-json can be the body"
    );
    if let Some(json) = json {
        return Ok(Some(ExpectedBody::Json(json)));
    }
    if let Some(base64) = base64 {
        let bytes = value::base64(&base64).context("body-base64")?;
        return Ok(Some(ExpectedBody::Bytes(bytes)));
    }
    Ok(text.map(|text| ExpectedBody::Bytes(text.into())))
}

impl Properties {
    pub(super) fn read(self) -> anyhow::Result<BasicProperties> {
        let short = |name: &'static str, text: Option<String>| {
            text.map(ShortString::new)
                .transpose()
                .with_context(|| format!("properties: {name}"))
        };
        Ok(BasicProperties {
            content_type: short("content-type", self.content_type)?,
            content_encoding: short("content-encoding", self.content_encoding)?,
            headers: None,
            delivery_mode: self.delivery_mode,
            priority: self.priority,
            correlation_id: short("correlation-id", self.correlation_id)?,
            reply_to: short("reply-to", self.reply_to)?,
            expiration: short("expiration", self.expiration)?,
            message_id: short("message-id", self.message_id)?,
            timestamp: self.timestamp,
            kind: short("type", self.kind)?,
            user_id: short("user-id", self.user_id)?,
            app_id: short("app-id", self.app_id)?,
            cluster_id: short("cluster-id", self.cluster_id)?,
        })
    }
}
