//! A plugin's settings when they come with an upload, as names and texts: `deadline=5ms`.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::Plugin;
use crate::config::{ConfigError, de, value};
use crate::nearest::nearest;

/// What the settings of an upload may have.
const KEYS: [&str; 9] = [
    "exchange-type",
    "grants",
    "deadline",
    "memory",
    "kv-size",
    "on-error",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "config",
];

impl Plugin {
    /// A plugin that is uploaded under this name. The keys are those of `[[plugin]]` without `path`; `grants` is a list with
    /// commas, `config` a JSON object.
    ///
    /// # Errors
    /// A key that there is not, a value that cannot be, or settings that contradict each other: in the words that the file gets.
    pub fn uploaded<'a>(
        name: &str,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, ConfigError> {
        let mut table = DeTable::new();
        let mut config = None;
        insert(&mut table, "name", text(name))?;
        for (key, given) in settings {
            let value = match key {
                "name" | "path" => {
                    let problem = "not for a plugin that is uploaded";
                    return Err(ConfigError::new(key, problem));
                }
                "config" => {
                    let object = serde_json::from_str(given).map_err(|error| {
                        let wanted = "give a JSON object such as {\"default\": \"unmatched\"}";
                        ConfigError::new(key, format!("{wanted} ({error})"))
                    })?;
                    config = Some(value::texts_of(object));
                    DeValue::Table(DeTable::new())
                }
                _ if !KEYS.contains(&key) => {
                    let hint = match nearest(key, &KEYS) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => format!("the keys are {}", KEYS.join(", ")),
                    };
                    return Err(ConfigError::new(key, format!("unknown key; {hint}")));
                }
                "grants" => list(given),
                _ => text(given),
            };
            insert(&mut table, key, value)?;
        }
        let read = de::from_table(&Spanned::new(0..0, table));
        let mut plugin: Self =
            read.map_err(|problem| ConfigError::new(problem.key(), problem.text))?;
        plugin.config = config.unwrap_or_default();
        plugin.grant_its_config();
        let checked = plugin.check();
        checked.map_err(|problem| ConfigError::new(problem.key, problem.text))?;
        Ok(plugin)
    }
}

fn insert<'a>(
    table: &mut DeTable<'a>,
    key: &'a str,
    value: DeValue<'a>,
) -> Result<(), ConfigError> {
    let value = Spanned::new(0..0, value);
    match table.insert(Spanned::new(0..0, Cow::Borrowed(key)), value) {
        Some(_) => Err(ConfigError::new(key, "given twice")),
        None => Ok(()),
    }
}

fn text(text: &str) -> DeValue<'_> {
    DeValue::String(Cow::Borrowed(text))
}

fn list(words: &str) -> DeValue<'_> {
    let mut list = DeArray::new();
    let words = words.split(',').map(str::trim);
    for word in words.filter(|word| !word.is_empty()) {
        list.push(Spanned::new(0..0, text(word)));
    }
    DeValue::Array(list)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use amphora_core::hook::OnError;

    use super::*;
    use crate::config::{ByteSize, Grant};

    fn refusal(name: &str, settings: &[(&str, &str)]) -> String {
        match Plugin::uploaded(name, settings.iter().copied()) {
            Ok(plugin) => format!("accepted: {plugin:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn settings_come_as_texts() -> Result<(), Box<dyn std::error::Error>> {
        let settings = [
            ("exchange-type", "x-content"),
            ("grants", "log, kv"),
            ("deadline", "5ms"),
            ("memory", "1048576"),
            ("on-error", "drop"),
            (
                "config",
                r#"{"default":"unmatched","weights":[1,2.5],"on":true}"#,
            ),
        ];
        let plugin = Plugin::uploaded("router", settings)?;

        assert_eq!(plugin.name, "router");
        assert_eq!(plugin.path, None);
        assert_eq!(plugin.exchange_type.as_deref(), Some("x-content"));
        assert!(
            plugin
                .grants
                .iter()
                .eq(&[Grant::Log, Grant::Config, Grant::Kv])
        );
        assert_eq!(plugin.deadline, Duration::from_millis(5));
        assert_eq!(plugin.memory, ByteSize::mib(1));
        assert_eq!(plugin.on_error, OnError::Drop);
        let config: Vec<_> = plugin.config.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            config,
            [
                ("default", "unmatched"),
                ("on", "true"),
                ("weights", "[1,2.5]")
            ]
        );
        let written = serde_json::to_string(&plugin)?;
        assert_eq!(serde_json::from_str::<Plugin>(&written)?, plugin);
        Ok(())
    }

    #[test]
    fn what_is_wrong_is_said_as_for_the_file() {
        let cases = [
            (
                refusal("Router", &[]),
                "name: expected 1 to 64 of the characters a-z 0-9 . _ -, the first a letter or a digit, found \"Router\"",
            ),
            (
                refusal("r", &[("dedline", "5ms")]),
                "dedline: unknown key; did you mean `deadline`?",
            ),
            (
                refusal("r", &[("wibble", "5ms")]),
                "wibble: unknown key; the keys are exchange-type, grants, deadline, memory, kv-size, on-error, dead-letter-exchange, dead-letter-routing-key, config",
            ),
            (
                refusal("r", &[("deadline", "20s")]),
                "deadline: 20s is out of range; give a duration from 1ms to 10s",
            ),
            (
                refusal("r", &[("path", "x.wasm")]),
                "path: not for a plugin that is uploaded",
            ),
            (
                refusal("r", &[("config", "[]")]),
                "config: give a JSON object such as {\"default\": \"unmatched\"} (invalid type: sequence, expected a map at line 1 column 0)",
            ),
            (
                refusal("r", &[("grants", "log,log")]),
                "grants: \"log\" is there twice",
            ),
            (
                refusal("r", &[("exchange-type", "x-r"), ("on-error", "pass")]),
                "on-error: an exchange cannot route without its plugin; give reject, drop, dead-letter or alternate-exchange",
            ),
        ];
        for (refusal, expected) in cases {
            assert_eq!(refusal, expected);
        }
    }
}
