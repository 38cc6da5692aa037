//! `[plugin.config]`

use amphora_sdk::config;
use serde_json::Value;

use crate::schema::Schema;
use crate::topic::Topic;

/// What the operator configured.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) invalid: Invalid,
    /// The first one that concerns a message is applied.
    pub(crate) rules: Vec<Rule>,
}

/// What becomes of messages that are not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    Reject,
    DeadLetter,
}

/// A schema, and the messages that it is for.
#[derive(Debug)]
pub(crate) struct Rule {
    /// None for all.
    exchange: Option<String>,
    /// None for all.
    key: Option<Topic>,
    pub(crate) schema: Schema,
}

impl Settings {
    /// # Errors
    /// Something is wrong; the text names the key and the rule.
    pub(crate) fn read() -> Result<Self, String> {
        config::only(&["invalid", "rule"])?;
        let invalid = match config::get("invalid").as_deref() {
            None | Some("reject") => Invalid::Reject,
            Some("dead-letter") => Invalid::DeadLetter,
            Some(other) => {
                return Err(format!(
                    "config key 'invalid' is \"reject\" or \"dead-letter\", not \"{other}\""
                ));
            }
        };
        let list = config::get("rule").unwrap_or_default();
        let Ok(Value::Array(list)) = serde_json::from_str(&list) else {
            return Err("config key 'rule' is a list of tables, [[plugin.config.rule]]".to_owned());
        };
        let rules = list.iter().enumerate().map(|(index, rule)| {
            Rule::read(rule).map_err(|error| format!("rule {}: {error}", index + 1))
        });
        Ok(Self {
            invalid,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

impl Rule {
    fn read(rule: &Value) -> Result<Self, String> {
        let fields = rule
            .as_object()
            .ok_or_else(|| format!("it is {rule}, and no table"))?;
        let mut names = fields.keys();
        if let Some(name) =
            names.find(|name| !["exchange", "key", "schema"].contains(&name.as_str()))
        {
            return Err(format!(
                "'{name}' means nothing; the keys are: exchange, key, schema"
            ));
        }
        let text = |name: &str| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(format!("'{name}' is a text, not {other}")),
        };
        let schema = match fields.get("schema") {
            None => return Err("'schema' is missing".to_owned()),
            Some(Value::String(text)) => Schema::new(
                &serde_json::from_str(text)
                    .map_err(|error| format!("'schema' is no JSON: {error}"))?,
            ),
            Some(schema) => Schema::new(schema),
        };
        Ok(Self {
            exchange: text("exchange")?,
            key: text("key")?.map(|pattern| Topic::new(&pattern)),
            schema: schema.map_err(|error| format!("'schema': {error}"))?,
        })
    }

    /// Whether it is for messages to this exchange with this key.
    pub(crate) fn concerns(&self, exchange: &str, key: &str) -> bool {
        self.exchange.as_deref().is_none_or(|name| name == exchange)
            && self.key.as_ref().is_none_or(|topic| topic.matches(key))
    }
}
