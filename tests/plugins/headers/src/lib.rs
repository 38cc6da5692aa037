//! A type of exchange that matches texts in three headers, as the broker's own headers exchange does: to be compared with that.

use std::collections::HashMap;

use amphora_sdk::exchange::{
    Answer, Binding, BindingId, Bindings, Declaration, Exchange, Message, ValueRef,
};
use amphora_sdk::{Description, Needs, Value};
use rustc_hash::FxBuildHasher;

/// The headers that it looks at: those that `amphora perf` sends.
const NAMES: [&str; 3] = ["to", "header-0", "header-1"];

/// The exchange: rules by one of the texts that they ask for, for each header.
#[derive(Debug, Default)]
pub struct Headers {
    by_text: [HashMap<String, Vec<Candidate>, FxBuildHasher>; 3],
}

/// What is kept of a binding: what it asks of each header.
#[derive(Clone, Debug)]
pub struct Rule {
    any: bool,
    texts: [Option<String>; 3],
}

#[derive(Debug)]
struct Candidate {
    id: BindingId,
    rule: Rule,
}

impl Exchange for Headers {
    type Rule = Rule;

    fn describe() -> Description {
        let needs = NAMES
            .into_iter()
            .fold(Needs::new(), |needs, name| needs.header(name));
        // What it says is a function of these headers. It is asked each time all the same, because that is what is measured.
        Description::new("headers", env!("CARGO_PKG_VERSION"), needs)
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn rule(&self, binding: Binding) -> Result<Rule, String> {
        let any = match binding.arguments.get("x-match") {
            None => false,
            Some(Value::Text(text)) if text == "all" => false,
            Some(Value::Text(text)) if text == "any" => true,
            Some(_) => return Err("x-match is all or any".to_owned()),
        };
        let mut texts = [None, None, None];
        for (name, value) in binding.arguments.iter() {
            if name.starts_with("x-") {
                continue;
            }
            let place = NAMES.iter().position(|known| *known == name);
            match (place, value) {
                (Some(place), Value::Text(text)) => texts[place] = Some(text.clone()),
                _ => return Err(format!("{name} is no header of {NAMES:?}, or no text")),
            }
        }
        if texts.iter().all(Option::is_none) {
            return Err("no header is asked for".to_owned());
        }
        Ok(Rule { any, texts })
    }

    fn index(&mut self, bindings: &Bindings<Rule>) {
        *self = Self::default();
        for (id, rule) in bindings {
            for (place, text) in rule.texts.iter().enumerate() {
                let Some(text) = text else { continue };
                let rule = rule.clone();
                let any = rule.any;
                let candidates = self.by_text[place].entry(text.clone()).or_default();
                candidates.push(Candidate { id, rule });
                if !any {
                    break;
                }
            }
        }
    }

    fn route(&mut self, _: &Bindings<Rule>, message: &Message<'_>, answer: &mut Answer<'_>) {
        let headers = message.headers();
        let found = [0, 1, 2].map(|index| match headers.nth(index) {
            Some(ValueRef::Text(text)) => Some(text),
            _ => None,
        });
        for (text, candidates) in found.iter().zip(&self.by_text) {
            let Some(text) = text else { continue };
            for candidate in candidates.get(*text).into_iter().flatten() {
                if candidate.rule.any || candidate.rule.all(&found) {
                    answer.to(candidate.id);
                }
            }
        }
    }
}

impl Rule {
    fn all(&self, found: &[Option<&str>; 3]) -> bool {
        let mut asked = self.texts.iter().zip(found);
        asked.all(|(text, found)| text.is_none() || text.as_deref() == *found)
    }
}

amphora_sdk::export_exchange!(Headers);
