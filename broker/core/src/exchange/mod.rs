//! Exchange types: what a message's routing key and headers are compared with. One file per type.

mod direct;
mod fanout;
mod field_value;
mod headers;
mod marks;
mod message_headers;
#[cfg(test)]
pub(crate) mod naive;
mod plugin;
mod targets;
mod topic;

use std::fmt;
use std::sync::Arc;

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::types::ShortString;

use self::direct::Direct;
use self::fanout::Fanout;
pub(crate) use self::field_value::same_value;
use self::headers::Headers;
pub(crate) use self::marks::Marks;
pub use self::message_headers::{LazyHeaders, MessageHeaders, sender_selected_keys};
pub(crate) use self::plugin::Plugin;
pub(crate) use self::targets::{Target, slot};
use self::topic::Topic;
pub(crate) use self::topic::Walk;
use crate::binding::Binding;
use crate::hook::ExchangeHook;

/// A type of exchange that can be declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeType {
    /// The routing key equals the binding key.
    Direct,
    /// Every binding.
    Fanout,
    /// The routing key matches the binding key's wildcards.
    Topic,
    /// The headers match the binding's arguments.
    Headers,
    /// What a plugin says. The name begins with [`PLUGIN_TYPE_PREFIX`].
    Plugin(ShortString),
}

/// What the names of types begin with that are not AMQP's.
pub const PLUGIN_TYPE_PREFIX: &str = "x-";

impl ExchangeType {
    /// AMQP's own types, by name.
    pub const BUILT_IN: [Self; 4] = [Self::Direct, Self::Fanout, Self::Headers, Self::Topic];

    /// AMQP's own type of this name, as `exchange.declare` has it.
    pub fn built_in(name: &str) -> Option<Self> {
        Self::BUILT_IN
            .into_iter()
            .find(|exchange_type| exchange_type.name() == name)
    }

    /// The type of this name, whether or not a plugin supplies it now; none if it can be nobody's.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::built_in(name).or_else(|| {
            let name = ShortString::new(name).ok()?;
            name.starts_with(PLUGIN_TYPE_PREFIX)
                .then_some(Self::Plugin(name))
        })
    }

    /// The name, as `exchange.declare` has it.
    pub fn name(&self) -> &str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::Plugin(name) => name,
        }
    }

    /// Why an exchange of this type refuses the binding, in RabbitMQ's words. A plugin is asked elsewhere, before the
    /// topology is locked.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), String> {
        match self {
            Self::Headers => Headers::check(&binding.arguments),
            Self::Direct | Self::Fanout | Self::Topic | Self::Plugin(_) => Ok(()),
        }
    }
}

impl fmt::Display for ExchangeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The bindings of one exchange, in the form in which its type finds those that match.
#[derive(Debug)]
pub(crate) enum Matcher {
    Direct(Direct),
    Fanout(Fanout),
    Topic(Topic),
    Headers(Headers),
    Plugin(Plugin),
}

/// What is looked at of a message, and what it led to.
pub(crate) struct Lookup<'a> {
    pub(crate) routing_keys: &'a [&'a str],
    pub(crate) headers: &'a dyn MessageHeaders,
    pub(crate) walk: &'a mut Walk,
    pub(crate) matched: &'a mut Vec<Target>,
}

impl Matcher {
    /// `hook` is asked for the handle of an exchange of a plugin's type.
    pub(crate) fn new(
        exchange_type: &ExchangeType,
        hook: impl FnOnce(&str) -> Arc<dyn ExchangeHook>,
    ) -> Self {
        match exchange_type {
            ExchangeType::Direct => Self::Direct(Direct::default()),
            ExchangeType::Fanout => Self::Fanout(Fanout::default()),
            ExchangeType::Topic => Self::Topic(Topic::default()),
            ExchangeType::Headers => Self::Headers(Headers::default()),
            ExchangeType::Plugin(name) => Self::Plugin(Plugin::new(hook(name))),
        }
    }

    /// Whether the answer is a function of more than the routing keys.
    pub(crate) fn depends_on_headers(&self) -> bool {
        matches!(self, Self::Headers(_))
    }

    pub(crate) fn bind(&mut self, binding: &Arc<Binding>, target: Target) {
        match self {
            Self::Direct(direct) => direct.bind(&binding.routing_key, target),
            Self::Fanout(fanout) => fanout.bind(target),
            Self::Topic(topic) => topic.bind(&binding.routing_key, target),
            Self::Headers(headers) => headers.bind(&binding.arguments, target),
            Self::Plugin(plugin) => plugin.bind(binding, target),
        }
    }

    pub(crate) fn unbind(&mut self, binding: &Binding, target: Target) {
        match self {
            Self::Direct(direct) => direct.unbind(&binding.routing_key, target),
            Self::Fanout(fanout) => fanout.unbind(target),
            Self::Topic(topic) => topic.unbind(&binding.routing_key, target),
            Self::Headers(headers) => headers.unbind(&binding.arguments, target),
            Self::Plugin(plugin) => plugin.unbind(binding),
        }
    }

    /// Appends the destinations of all bindings that match, some of them perhaps repeatedly. A plugin's exchange has no
    /// answer of its own.
    pub(crate) fn route(&self, lookup: Lookup<'_>) -> Result<(), Exception> {
        let Lookup {
            routing_keys,
            headers,
            walk,
            matched,
        } = lookup;
        match self {
            Self::Direct(direct) => routing_keys
                .iter()
                .for_each(|key| direct.route(key, matched)),
            Self::Fanout(fanout) => fanout.route(matched),
            Self::Topic(topic) => routing_keys
                .iter()
                .for_each(|key| topic.route(key, walk, matched)),
            Self::Headers(exchange) => {
                exchange.route(headers.table()?, matched);
            }
            Self::Plugin(_) => {}
        }
        Ok(())
    }
}
