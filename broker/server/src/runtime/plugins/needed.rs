//! What needs a plugin: whoever takes it away is told first.

use amphora_core::exchange::ExchangeType;
use amphora_core::hook::TRANSFORM;
use amphora_core::policy::PolicyKind;
use amphora_plugin_host::Role;
use amphora_protocol::wire::table::FieldTable;

use super::{Plugins, TRANSFORM_KEY, transforms};
use crate::config::{Plugin, Target};
use crate::runtime::vhost::VirtualHost;

/// What a refusal names, at most; the rest is counted.
const NAMED_MAX: usize = 8;

impl Plugins {
    /// Says what needs a plugin: exchanges of its type, and where arguments, policies and the configuration attach it. Nothing if nobody does.
    pub(super) fn needed(&self, settings: &Plugin) -> Option<String> {
        let name = &settings.name;
        let places = self.places(name, settings.exchange_type.as_deref(), true)?;
        Some(format!(
            "plugin '{name}' is needed: {places}. With force=true it is unloaded all the same, and messages there go as on-error says"
        ))
    }

    /// Says what needs a plugin for the one or the other.
    pub(super) fn dependants(&self, name: &str, role: Role<'_>) -> Option<String> {
        match role {
            Role::Transform => self.places(name, None, true),
            Role::ExchangeType(supplied) => self.places(name, Some(supplied), false),
        }
    }

    /// The exchanges of this type, and the places where the plugin is attached.
    fn places(&self, plugin: &str, exchange_type: Option<&str>, attached: bool) -> Option<String> {
        let mut places = Vec::new();
        if let Some(broker) = self.surroundings.broker() {
            for vhost in broker.vhosts() {
                if let Some(exchange_type) = exchange_type {
                    exchanges_in(&vhost, exchange_type, &mut places);
                }
                if attached {
                    attached_in(&vhost, plugin, &mut places);
                }
            }
        }
        let registry = self.registry.read();
        let sections = registry.attachments.iter();
        let sections = sections.filter(|section| attached && section.plugin == plugin);
        places.extend(sections.map(|section| match &section.target {
            Target::Exchange(names) => {
                format!("[[attach]] names it for exchanges '{}'", names.as_str())
            }
            Target::Queue(names) => format!("[[attach]] names it for queues '{}'", names.as_str()),
        }));
        let more = places.len().saturating_sub(NAMED_MAX);
        places.truncate(NAMED_MAX);
        if more > 0 {
            places.push(format!("{more} more"));
        }
        (!places.is_empty()).then(|| places.join("; "))
    }
}

fn exchanges_in(vhost: &VirtualHost, supplied: &str, places: &mut Vec<String>) {
    let within = &vhost.name;
    for exchange in vhost.topology().exchanges() {
        let name = &exchange.name;
        if let ExchangeType::Plugin(of) = &exchange.exchange_type
            && **of == *supplied
        {
            places.push(format!(
                "exchange '{name}' in vhost '{within}' is of its type '{supplied}'"
            ));
        }
    }
}

fn attached_in(vhost: &VirtualHost, plugin: &str, places: &mut Vec<String>) {
    let names = |arguments: &FieldTable, key: &str| {
        let named = transforms(arguments, key).unwrap_or_default();
        named.iter().any(|name| name == plugin)
    };
    let within = &vhost.name;
    let topology = vhost.topology();
    for exchange in topology.exchanges() {
        let name = &exchange.name;
        if names(&exchange.arguments, TRANSFORM) {
            places.push(format!(
                "exchange '{name}' in vhost '{within}' has it as '{TRANSFORM}'"
            ));
        }
    }
    for queue in topology.queues() {
        let definition = &queue.definition;
        if names(&definition.arguments, TRANSFORM) {
            let name = &definition.name;
            places.push(format!(
                "queue '{name}' in vhost '{within}' has it as '{TRANSFORM}'"
            ));
        }
    }
    let policies = topology.policies();
    for kind in [PolicyKind::User, PolicyKind::Operator] {
        for policy in policies.of_kind(kind) {
            if names(&policy.definition, TRANSFORM_KEY) {
                let name = &policy.name;
                places.push(format!("policy '{name}' in vhost '{within}' names it"));
            }
        }
    }
}
