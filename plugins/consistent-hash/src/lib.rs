//! A type of exchange that distributes messages over its destinations by a hash, so that equal keys go to the same destination, and few keys move
//! when a destination comes or goes.

mod source;

use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message};
use amphora_sdk::{Description, Needs};
use rendezvous::Ranking;

use self::source::Source;

/// The largest weight. Beyond it, a binding is more likely a topic's than a number by mistake.
const WEIGHT_MAX: u32 = 1_000_000;

/// The exchange.
#[derive(Debug)]
pub struct ConsistentHash {
    source: Source,
    ranking: Ranking,
}

/// A destination's share.
#[derive(Debug)]
pub struct Share {
    destination: String,
    weight: u32,
}

impl Exchange for ConsistentHash {
    type Rule = Share;

    fn describe() -> Description {
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Needs::new().routing_key().properties().all_headers().pure(),
        )
    }

    fn create(declaration: &Declaration) -> Result<Self, String> {
        Ok(Self {
            source: Source::of_arguments(&declaration.arguments)?,
            ranking: Ranking::default(),
        })
    }

    fn rule(&self, binding: Binding) -> Result<Share, String> {
        let weight = binding.routing_key.parse().ok();
        let weight = weight.filter(|weight| (1..=WEIGHT_MAX).contains(weight));
        Ok(Share {
            weight: weight.ok_or_else(|| {
                format!(
                    "the binding key is the destination's weight, an integer from 1 to {WEIGHT_MAX}, not '{}'",
                    binding.routing_key
                )
            })?,
            destination: binding.destination,
        })
    }

    fn index(&mut self, bindings: &Bindings<Share>) {
        let shares = bindings.iter();
        self.ranking = shares
            .map(|(id, share)| (id, share.destination.as_str(), share.weight))
            .collect();
    }

    fn route(&mut self, _: &Bindings<Share>, message: &Message<'_>, answer: &mut Answer<'_>) {
        for &id in self.ranking.first(self.source.hash(message)) {
            answer.to(id);
        }
    }
}

amphora_sdk::export_exchange!(ConsistentHash);

#[cfg(test)]
mod tests;
