//! Lets only messages pass whose body is what a JSON schema says.

mod schema;
mod settings;
mod topic;

use amphora_sdk::transform::{Message, Transform, Verdict};
use amphora_sdk::{Description, Needs, log, metrics};
use serde_json::Value;

use self::settings::{Invalid, Settings};

/// Errors that a reason tells, at most.
const TOLD_MAX: usize = 3;

/// The transform.
#[derive(Debug)]
pub struct JsonSchema {
    settings: Settings,
}

impl Transform for JsonSchema {
    fn configure() -> Result<Self, String> {
        log::panics();
        let settings = Settings::read()?;
        Ok(Self { settings })
    }

    fn describe(&self) -> Description {
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Needs::new().exchange().routing_key().body(),
        )
    }

    fn apply(&mut self, message: &Message, _queue: Option<&str>) -> Verdict {
        let mut rules = self.settings.rules.iter();
        let rule = rules.find(|rule| rule.concerns(&message.exchange, &message.routing_key));
        let Some(rule) = rule else {
            return Verdict::Pass;
        };
        let body: Value = match serde_json::from_slice(&message.body) {
            Ok(body) => body,
            Err(error) => return self.invalid(format!("the body is no JSON: {error}")),
        };
        let errors = rule.schema.errors(&body, TOLD_MAX);
        if errors.is_empty() {
            return Verdict::Pass;
        }
        self.invalid(format!("the body is not valid: {}", errors.join("; ")))
    }
}

impl JsonSchema {
    fn invalid(&self, reason: String) -> Verdict {
        metrics::add("invalid", 1);
        match self.settings.invalid {
            Invalid::Reject => Verdict::Reject(reason),
            Invalid::DeadLetter => Verdict::DeadLetter(reason),
        }
    }
}

amphora_sdk::export_transform!(JsonSchema);

#[cfg(test)]
mod tests;
