//! Exchange types: what a message's routing key and headers are compared with. One file per type.

mod consistent_hash;
mod delayed;
mod direct;
mod erlang_hash;
mod fanout;
mod field_value;
mod headers;
mod marks;
mod message_headers;
mod modulus_hash;
#[cfg(test)]
pub(crate) mod naive;
mod plugin;
mod random;
mod recent_history;
mod stable_hash;
mod targets;
mod topic;
pub(crate) mod why;

use std::fmt;
use std::sync::Arc;

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::ShortString;

use self::consistent_hash::ConsistentHash;
pub(crate) use self::delayed::delays;
pub use self::delayed::{DELAY, DELAYED_TYPE, delay_ms, waited};
use self::direct::Direct;
use self::fanout::Fanout;
pub(crate) use self::field_value::same_value;
use self::headers::Headers;
pub(crate) use self::marks::Marks;
use self::message_headers::damaged;
pub use self::message_headers::{LazyHeaders, MessageHeaders, sender_selected_keys};
use self::modulus_hash::ModulusHash;
pub(crate) use self::plugin::Plugin;
use self::random::Random;
pub use self::recent_history::{NO_STORE, history_length};
pub(crate) use self::targets::{Target, slot};
use self::topic::Topic;
pub(crate) use self::topic::Walk;
use crate::binding::{Binding, Destination};
use crate::definition::ExchangeDefinition;
use crate::hook::ExchangeHook;
use crate::route::Varies;

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
    /// One binding, by a hash of the routing key, a header or a property, in proportion to the bindings' weights.
    ConsistentHash,
    /// As another type, named by an argument, and not before the time that a header says.
    DelayedMessage,
    /// One binding at random, to a queue that is here.
    LocalRandom,
    /// One binding, by a hash of the routing key.
    ModulusHash,
    /// One binding at random.
    Random,
    /// Every binding, and the last messages again for who is bound later.
    RecentHistory,
    /// What a plugin says. The name begins with [`PLUGIN_TYPE_PREFIX`].
    Plugin(ShortString),
}

/// What the names of types begin with that are not AMQP's.
pub const PLUGIN_TYPE_PREFIX: &str = "x-";

impl ExchangeType {
    /// The types that need no plugin, by name.
    pub const BUILT_IN: [Self; 10] = [
        Self::Direct,
        Self::Fanout,
        Self::Headers,
        Self::Topic,
        Self::ConsistentHash,
        Self::DelayedMessage,
        Self::LocalRandom,
        Self::ModulusHash,
        Self::Random,
        Self::RecentHistory,
    ];

    /// The type of this name that needs no plugin, as `exchange.declare` has it. No plugin can supply a type of such a name.
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
            Self::ConsistentHash => "x-consistent-hash",
            Self::DelayedMessage => "x-delayed-message",
            Self::LocalRandom => "x-local-random",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::RecentHistory => "x-recent-history",
            Self::Plugin(name) => name,
        }
    }

    /// Why an exchange of this type refuses the binding, in RabbitMQ's words. A plugin is asked elsewhere, before the
    /// topology is locked.
    pub(crate) fn check(&self, binding: &Binding) -> Result<(), String> {
        match self {
            Self::Headers => Headers::check(&binding.arguments),
            Self::ConsistentHash => ConsistentHash::check_key(&binding.routing_key),
            Self::LocalRandom => match &binding.destination {
                _ if !binding.routing_key.is_empty() => Err(format!(
                    "Non empty binding '{}' key not permitted",
                    binding.routing_key.as_str()
                )),
                Destination::Exchange(_) => Err("Destination not found".to_owned()),
                Destination::Queue(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Why an exchange of this type refuses arguments, in RabbitMQ's words.
    pub(crate) fn check_arguments(&self, arguments: &FieldTable) -> Result<(), String> {
        delayed::check(arguments)?;
        match self {
            Self::ConsistentHash => ConsistentHash::check(arguments),
            Self::RecentHistory => recent_history::check(arguments),
            _ => Ok(()),
        }
    }
}

impl ExchangeDefinition {
    /// The type by which it routes, which is another than its own only for `x-delayed-message`.
    pub fn routing_type(&self) -> ExchangeType {
        if self.exchange_type != ExchangeType::DelayedMessage {
            return self.exchange_type.clone();
        }
        let inner = delayed::inner_type(&self.arguments).and_then(ExchangeType::from_name);
        // It was checked when the exchange was declared.
        inner.unwrap_or(ExchangeType::Direct)
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
    ConsistentHash(ConsistentHash),
    ModulusHash(ModulusHash),
    Random(Random),
    RecentHistory(Fanout),
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
        definition: &ExchangeDefinition,
        hook: impl FnOnce(&str) -> Arc<dyn ExchangeHook>,
    ) -> Self {
        match definition.routing_type() {
            // An exchange delays once: the type that it routes by is another.
            ExchangeType::Direct | ExchangeType::DelayedMessage => Self::Direct(Direct::default()),
            ExchangeType::Fanout => Self::Fanout(Fanout::default()),
            ExchangeType::Topic => Self::Topic(Topic::default()),
            ExchangeType::Headers => Self::Headers(Headers::default()),
            ExchangeType::ConsistentHash => {
                Self::ConsistentHash(ConsistentHash::new(&definition.arguments))
            }
            ExchangeType::ModulusHash => Self::ModulusHash(ModulusHash::default()),
            ExchangeType::Random | ExchangeType::LocalRandom => Self::Random(Random::default()),
            ExchangeType::RecentHistory => Self::RecentHistory(Fanout::default()),
            ExchangeType::Plugin(name) => Self::Plugin(Plugin::new(hook(&name))),
        }
    }

    /// What the answer depends on beside the routing keys.
    pub(crate) fn varies(&self) -> Varies {
        match self {
            Self::Headers(_) => Varies::WithProperties,
            Self::ConsistentHash(exchange) if exchange.depends_on_headers() => {
                Varies::WithProperties
            }
            Self::Random(_) => Varies::Always,
            Self::ConsistentHash(_)
            | Self::Direct(_)
            | Self::Fanout(_)
            | Self::Topic(_)
            | Self::ModulusHash(_)
            | Self::RecentHistory(_)
            | Self::Plugin(_) => Varies::Never,
        }
    }

    pub(crate) fn bind(&mut self, binding: &Arc<Binding>, target: Target) {
        match self {
            Self::Direct(direct) => direct.bind(&binding.routing_key, target),
            Self::Fanout(fanout) | Self::RecentHistory(fanout) => fanout.bind(target),
            Self::Topic(topic) => topic.bind(&binding.routing_key, target),
            Self::Headers(headers) => headers.bind(&binding.arguments, target),
            Self::ConsistentHash(exchange) => exchange.bind(binding, target),
            Self::ModulusHash(exchange) => exchange.bind(binding, target),
            Self::Random(random) => random.bind(target),
            Self::Plugin(plugin) => plugin.bind(binding, target),
        }
    }

    pub(crate) fn unbind(&mut self, binding: &Binding, target: Target) {
        match self {
            Self::Direct(direct) => direct.unbind(&binding.routing_key, target),
            Self::Fanout(fanout) | Self::RecentHistory(fanout) => fanout.unbind(target),
            Self::Topic(topic) => topic.unbind(&binding.routing_key, target),
            Self::Headers(headers) => headers.unbind(&binding.arguments, target),
            Self::ConsistentHash(exchange) => exchange.unbind(binding, target),
            Self::ModulusHash(exchange) => exchange.unbind(binding),
            Self::Random(random) => random.unbind(target),
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
            Self::Fanout(fanout) | Self::RecentHistory(fanout) => fanout.route(matched),
            Self::Topic(topic) => routing_keys
                .iter()
                .for_each(|key| topic.route(key, walk, matched)),
            Self::Headers(exchange) => {
                let fields = headers.fields()?;
                exchange.route(&fields, matched).map_err(damaged)?;
            }
            Self::ConsistentHash(exchange) => exchange.route(routing_keys, headers, matched)?,
            Self::ModulusHash(exchange) => exchange.route(routing_keys, matched),
            Self::Random(random) => random.route(matched),
            Self::Plugin(_) => {}
        }
        Ok(())
    }
}
