//! The modulus hash exchange (`x-modulus-hash`): the routing key's hash says which of the destinations, sorted by name, it is.
//!
//! A key's place is the same as long as the destinations are; when one comes or goes, most keys move.

use super::stable_hash::of_texts;
use super::targets::Target;
use crate::binding::{Binding, Destination};

/// The destinations of a modulus hash exchange, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct ModulusHash {
    destinations: Vec<(Destination, Target, u32)>,
}

impl ModulusHash {
    pub(crate) fn bind(&mut self, binding: &Binding, target: Target) {
        match self.place(binding) {
            Ok(place) => {
                if let Some((.., bindings)) = self.destinations.get_mut(place) {
                    *bindings += 1;
                }
            }
            Err(place) => {
                let destination = binding.destination.clone();
                self.destinations.insert(place, (destination, target, 1));
            }
        }
    }

    pub(crate) fn unbind(&mut self, binding: &Binding) {
        if let Ok(place) = self.place(binding)
            && let Some((.., bindings)) = self.destinations.get_mut(place)
        {
            *bindings -= 1;
            if *bindings == 0 {
                self.destinations.remove(place);
            }
        }
    }

    pub(crate) fn route(&self, routing_keys: &[&str], matched: &mut Vec<Target>) {
        let count = self.destinations.len() as u64;
        if count == 0 {
            return;
        }
        let place = usize::try_from(of_texts(routing_keys) % count).unwrap_or(0);
        matched.extend(self.destinations.get(place).map(|(_, target, _)| *target));
    }

    fn place(&self, binding: &Binding) -> Result<usize, usize> {
        self.destinations
            .binary_search_by(|(destination, ..)| destination.cmp(&binding.destination))
    }
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
        one.unbind(&binding(2, "again"));
        assert_eq!(places(&one), before);
        one.unbind(&binding(2, ""));
        assert!(places(&one).iter().all(|queue| *queue != 2));
    }
}
