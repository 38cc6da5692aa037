//! A type of exchange: topics, with a least priority for each binding.

mod index;

use std::ops::Range;

use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message};
use amphora_sdk::{Description, Needs, config};

use crate::index::{Candidate, Index, Map};

const ARGUMENT: &str = "x-priority-min";

/// Routing keys whose candidates are remembered, at most, and their candidates together.
const KEYS_MAX: usize = 4096;
const CANDIDATES_MAX: usize = 65_536;

/// An exchange of this type.
#[derive(Debug)]
pub struct PriorityTopic {
    /// The header that is looked at; empty for none.
    header: String,
    index: Index,
    /// The candidates of the routing keys that came since the bindings changed.
    remembered: Map<Box<[u8]>, Range<usize>>,
    candidates: Vec<Candidate>,
}

/// What is kept of a binding.
#[derive(Debug)]
pub struct Rule {
    pattern: String,
    least: Option<i64>,
}

impl Exchange for PriorityTopic {
    type Rule = Rule;

    fn describe() -> Description {
        let pure = config::parse("pure").unwrap_or_else(|error| panic!("{error}"));
        let mut needs = Needs::new().routing_key();
        let header = header();
        if !header.is_empty() {
            needs = needs.header(header);
        }
        if pure.unwrap_or(true) {
            needs = needs.pure();
        }
        Description::new("priority-topic", env!("CARGO_PKG_VERSION"), needs)
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        Ok(Self {
            header: header(),
            index: Index::default(),
            remembered: Map::default(),
            candidates: Vec::new(),
        })
    }

    fn rule(&self, binding: Binding) -> Result<Rule, String> {
        let least = match binding.arguments.get(ARGUMENT) {
            None => None,
            Some(value) => Some(value.as_integer().ok_or_else(|| {
                format!(
                    "{ARGUMENT} must be an integer, and is {}",
                    value.type_name()
                )
            })?),
        };
        if least.is_some() && self.header.is_empty() {
            return Err(format!(
                "{ARGUMENT} needs a header to look at, and the plugin's priority-header is empty"
            ));
        }
        Ok(Rule {
            pattern: binding.routing_key,
            least,
        })
    }

    fn index(&mut self, bindings: &Bindings<Rule>) {
        self.forget();
        let all = bindings.iter();
        self.index = all
            .map(|(id, rule)| {
                (
                    rule.pattern.as_str(),
                    Candidate {
                        id,
                        least: rule.least,
                    },
                )
            })
            .collect();
    }

    fn route(&mut self, _: &Bindings<Rule>, message: &Message<'_>, answer: &mut Answer<'_>) {
        let priority = match self.header.as_str() {
            "" => None,
            name => message.header(name).and_then(|value| value.as_integer()),
        };
        let found = self.find(message);
        for candidate in &self.candidates[found] {
            if candidate.least.is_none_or(|least| priority >= Some(least)) {
                answer.to(candidate.id);
            }
        }
    }
}

impl PriorityTopic {
    /// Where in `candidates` those of a message's routing key are.
    fn find(&mut self, message: &Message<'_>) -> Range<usize> {
        if let Some(found) = self.remembered.get(message.routing_key_bytes()) {
            return found.clone();
        }
        let key = message.routing_key();
        if self.remembered.len() >= KEYS_MAX || self.candidates.len() >= CANDIDATES_MAX {
            self.forget();
        }
        let start = self.candidates.len();
        self.index.find(key, &mut self.candidates);
        let found = start..self.candidates.len();
        let key = key.as_bytes().into();
        self.remembered.insert(key, found.clone());
        found
    }

    fn forget(&mut self) {
        self.remembered.clear();
        self.candidates.clear();
    }
}

fn header() -> String {
    config::get("priority-header").unwrap_or_else(|| "priority".to_owned())
}

amphora_sdk::export_exchange!(PriorityTopic);

#[cfg(test)]
mod tests;
