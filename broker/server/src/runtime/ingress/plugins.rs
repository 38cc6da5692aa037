//! Whether a publish asks plugins, for whoever has to know before.

use amphora_core::exchange::ExchangeType;

use super::{Ingress, names};

impl Ingress {
    /// Whether plugins are asked at the exchange of this target: because its type is a plugin's, or because transforms are attached to it. What comes
    /// behind it is not looked at.
    pub(in crate::runtime) fn asks_plugins(&self, target: &[u8]) -> bool {
        let Ok((exchange, _)) = names(target) else {
            return false;
        };
        let topology = self.vhost.topology();
        let Ok(definition) = topology.find_exchange(exchange) else {
            return false;
        };
        let policies = topology.policies_of_exchange(exchange);
        matches!(definition.exchange_type, ExchangeType::Plugin(_))
            || self
                .vhost
                .plugins
                .for_exchange(&self.vhost.name, definition, policies)
                .is_some()
    }
}
