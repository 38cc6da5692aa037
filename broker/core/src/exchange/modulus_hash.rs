//! The modulus hash exchange (`x-modulus-hash`): the routing key's hash says which of the destinations, in their order, it is.
//!
//! Hash and order are RabbitMQ's, so that a key goes where it went there: exchanges come before queues, each by name, and one that is
//! bound several times counts as often. A key's place is the same as long as the destinations are; when one comes or goes, most keys move.

use super::erlang_hash::of_texts;
use super::targets::Target;
use crate::binding::{Binding, Destination};

/// The destinations of a modulus hash exchange, one for each binding.
#[derive(Debug, Default)]
pub(crate) struct ModulusHash {
    destinations: Vec<(Destination, Target)>,
}

impl ModulusHash {
    pub(crate) fn bind(&mut self, binding: &Binding, target: Target) {
        let place = self.place(&binding.destination);
        let destination = binding.destination.clone();
        self.destinations.insert(place, (destination, target));
    }

    pub(crate) fn unbind(&mut self, binding: &Binding) {
        let place = self.place(&binding.destination);
        let found = self.destinations.get(place);
        if found.is_some_and(|(destination, _)| *destination == binding.destination) {
            self.destinations.remove(place);
        }
    }

    pub(crate) fn route(&self, routing_keys: &[&str], matched: &mut Vec<Target>) {
        if self.destinations.is_empty() {
            return;
        }
        let hash = usize::try_from(of_texts(routing_keys)).unwrap_or(0);
        let place = hash % self.destinations.len();
        matched.extend(self.destinations.get(place).map(|(_, target)| *target));
    }

    /// Where the destination is, or belongs.
    fn place(&self, destination: &Destination) -> usize {
        self.destinations
            .partition_point(|(other, _)| order(other) < order(destination))
    }
}

fn order(destination: &Destination) -> (bool, &str) {
    let is_queue = matches!(destination, Destination::Queue(_));
    (is_queue, destination.name())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use amphora_protocol::wire::table::FieldTable;
    use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};

    use super::{ModulusHash, Target};
    use crate::binding::{Binding, Destination};

    fn binding(queue: u32, key: &str) -> Binding {
        Binding {
            source: ExchangeName::new("x").expect("short"),
            destination: Destination::Queue(QueueName::new(format!("q{queue}")).expect("short")),
            routing_key: RoutingKey::new(key).expect("short"),
            arguments: FieldTable::new().into(),
        }
    }

    fn places(exchange: &ModulusHash) -> Vec<u32> {
        let mut matched = Vec::new();
        for key in 0..1000 {
            exchange.route(&[&key.to_string()], &mut matched);
        }
        let slot = |target: &Target| match target {
            Target::Queue(slot) | Target::Exchange(slot) => *slot,
        };
        matched.iter().map(slot).collect()
    }

    #[test]
    fn a_key_stays_while_the_destinations_do() {
        let (mut one, mut other) = (ModulusHash::default(), ModulusHash::default());
        assert!(places(&one).is_empty());
        for queue in 0..5 {
            one.bind(&binding(queue, ""), Target::Queue(queue));
            other.bind(&binding(4 - queue, "any"), Target::Queue(4 - queue));
        }
        let before = places(&one);
        assert_eq!(before.iter().collect::<BTreeSet<_>>().len(), 5);
        assert_eq!(places(&other), before);
        one.bind(&binding(2, "again"), Target::Queue(2));
        assert_ne!(places(&one), before, "it counts twice");
        one.unbind(&binding(2, ""));
        assert_eq!(places(&one), before);
        one.unbind(&binding(2, "again"));
        assert!(places(&one).iter().all(|queue| *queue != 2));
    }
}
