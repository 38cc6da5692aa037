//! A type of exchange whose bindings have conditions on what is in a message: in its body, if that is JSON, in its headers, and its routing key.

mod condition;
mod operator;
mod subject;

use amphora_sdk::exchange::{Answer, Binding, Bindings, Declaration, Exchange, Message};
use amphora_sdk::{Description, Needs, Table, Value};

use self::condition::Condition;
use self::subject::{Content, Subject};

const MATCH: &str = "x-match";
const DEFAULT: &str = "x-default";

/// The exchange.
#[derive(Debug, Default)]
pub struct ContentRouter {
    /// Some binding looks into the body.
    reads_body: bool,
}

/// What a binding asks for.
#[derive(Debug)]
pub enum Rule {
    /// All of the conditions hold.
    All(Vec<Condition>),
    /// One of the conditions holds.
    Any(Vec<Condition>),
    /// No other binding takes the message.
    Default,
}

impl Exchange for ContentRouter {
    type Rule = Rule;

    fn describe() -> Description {
        Description::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            Needs::new().routing_key().all_headers().body().pure(),
        )
    }

    fn create(_: &Declaration) -> Result<Self, String> {
        Ok(Self::default())
    }

    fn rule(&self, binding: Binding) -> Result<Rule, String> {
        let arguments = binding.arguments;
        let any = any(&arguments)?;
        let default = default(&arguments)?;
        let mut conditions = Vec::new();
        for (name, value) in arguments.iter() {
            if name == MATCH || name == DEFAULT {
                continue;
            }
            let subject = Subject::parse(name)?;
            conditions
                .push(Condition::new(subject, value).map_err(|error| format!("{name}: {error}"))?);
        }
        match (default, any) {
            (true, _) if !conditions.is_empty() => {
                Err(format!("a binding with {DEFAULT} has no conditions"))
            }
            (true, _) => Ok(Rule::Default),
            (false, true) if conditions.is_empty() => Err(format!(
                "{MATCH} 'any' without a condition would never match"
            )),
            (false, true) => Ok(Rule::Any(conditions)),
            (false, false) => Ok(Rule::All(conditions)),
        }
    }

    fn index(&mut self, bindings: &Bindings<Rule>) {
        let mut conditions = bindings.iter().flat_map(|(_, rule)| rule.conditions());
        self.reads_body = conditions.any(Condition::reads_body);
    }

    fn route(&mut self, bindings: &Bindings<Rule>, message: &Message<'_>, answer: &mut Answer<'_>) {
        let content = Content::new(message, self.reads_body);
        for (id, rule) in bindings {
            if rule.holds(&content) {
                answer.to(id);
            }
        }
        if answer.is_empty() {
            for (id, rule) in bindings {
                if matches!(rule, Rule::Default) {
                    answer.to(id);
                }
            }
        }
    }
}

impl Rule {
    fn conditions(&self) -> &[Condition] {
        match self {
            Self::All(conditions) | Self::Any(conditions) => conditions,
            Self::Default => &[],
        }
    }

    fn holds(&self, content: &Content<'_>) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(content)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(content)),
            Self::Default => false,
        }
    }
}

fn any(arguments: &Table) -> Result<bool, String> {
    match arguments.get(MATCH) {
        None => Ok(false),
        Some(Value::Text(text)) if text == "all" => Ok(false),
        Some(Value::Text(text)) if text == "any" => Ok(true),
        Some(Value::Text(text)) => Err(format!("{MATCH} is 'all' or 'any', not '{text}'")),
        Some(other) => Err(format!(
            "{MATCH} is 'all' or 'any', not {}",
            other.type_name()
        )),
    }
}

fn default(arguments: &Table) -> Result<bool, String> {
    match arguments.get(DEFAULT) {
        None => Ok(false),
        Some(Value::Boolean(default)) => Ok(*default),
        Some(other) => Err(format!(
            "{DEFAULT} is true or false, not {}",
            other.type_name()
        )),
    }
}

amphora_sdk::export_exchange!(ContentRouter);

#[cfg(test)]
mod tests;
