//! A type of exchange that gives each of its destinations a share of the messages, by chance or, so that what belongs together stays together, by
//! the routing key or a header.

mod draw;
mod settings;

use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message, ValueRef};
use amphora_sdk::{Description, Needs, Value, log, random};
use rendezvous::Ranking;
use xxhash_rust::xxh3::xxh3_64;

use self::draw::Draw;
use self::settings::By;

const WEIGHT: &str = "weight";

/// The largest weight.
const WEIGHT_MAX: u32 = 1_000_000;

/// The exchange.
#[derive(Debug)]
pub struct WeightedSplit {
    by: By,
    draw: Draw,
    ranking: Ranking,
}

/// A destination's share.
#[derive(Debug)]
pub struct Share {
    destination: String,
    weight: u32,
}

impl Exchange for WeightedSplit {
    type Rule = Share;

    fn describe() -> Description {
        log::panics();
        let needs = match By::read() {
            Ok(By::Chance) => Needs::new(),
            Ok(By::RoutingKey) => Needs::new().routing_key().pure(),
            Ok(By::Header(name)) => Needs::new().header(name).pure(),
            Err(error) => panic!("{error}"),
        };
        Description::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), needs)
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        Ok(Self {
            by: By::read()?,
            draw: Draw::default(),
            ranking: Ranking::default(),
        })
    }

    fn rule(&self, binding: Binding) -> Result<Share, String> {
        let weight = match binding.arguments.get(WEIGHT) {
            None => Some(1),
            Some(Value::Text(digits)) => digits.parse().ok(),
            Some(value) => value
                .as_integer()
                .and_then(|weight| u32::try_from(weight).ok()),
        };
        Ok(Share {
            weight: weight
                .filter(|&weight| weight <= WEIGHT_MAX)
                .ok_or_else(|| {
                    format!("the argument '{WEIGHT}' is an integer from 0 to {WEIGHT_MAX}")
                })?,
            destination: binding.destination,
        })
    }

    fn index(&mut self, bindings: &Bindings<Share>) {
        let shares = bindings.iter();
        if self.by == By::Chance {
            self.draw = shares.map(|(id, share)| (id, share.weight)).collect();
        } else {
            self.ranking = shares
                .map(|(id, share)| (id, share.destination.as_str(), share.weight))
                .collect();
        }
    }

    fn route(&mut self, _: &Bindings<Share>, message: &Message<'_>, answer: &mut Answer<'_>) {
        let hash = match &self.by {
            By::Chance => {
                if let Some(id) = self.draw.one(random::below) {
                    answer.to(id);
                }
                return;
            }
            By::RoutingKey => xxh3_64(message.routing_key().as_bytes()),
            By::Header(name) => match message.header(name).map(ValueRef::to_value) {
                Some(Value::Text(text)) => xxh3_64(text.as_bytes()),
                // What is no text is what it is shown as; what is not there stays together, too.
                other => xxh3_64(format!("{other:?}").as_bytes()),
            },
        };
        for &id in self.ranking.first(hash) {
            answer.to(id);
        }
    }
}

amphora_sdk::export_exchange!(WeightedSplit);

#[cfg(test)]
mod tests;
