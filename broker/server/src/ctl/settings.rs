//! What a command is told: `name=orders durable=true`.

use serde_json::{Map, Value};

use super::Settings;
use crate::cli::exit::Exit;
use crate::nearest::nearest;

/// The keys that a command knows.
pub(super) struct Keys {
    pub(super) required: &'static [&'static str],
    pub(super) optional: &'static [&'static str],
    /// How many of them, in this order, may be given without their key, as rabbitmqctl has it.
    pub(super) keyless: usize,
}

/// The settings of a command, each known and given once.
#[derive(Debug)]
pub(super) struct Given<'a>(Vec<(&'static str, &'a str)>);

impl Settings {
    /// Takes the words apart. A word without an `=` is the first setting that may be given so and is not.
    pub(super) fn read(&self, keys: &Keys) -> Result<Given<'_>, Exit> {
        let mut given = Given(Vec::new());
        for word in &self.words {
            let (key, value) = keys.split(word, &given)?;
            if given.get(key).is_some() {
                return Err(Exit::Usage(format!("`{key}` is given twice")));
            }
            given.0.push((key, value));
        }
        match keys.required.iter().find(|key| given.get(key).is_none()) {
            Some(missing) => Err(Exit::Usage(format!("`{missing}=…` is missing"))),
            None => Ok(given),
        }
    }
}

impl Keys {
    fn all(&self) -> Vec<&'static str> {
        self.required.iter().chain(self.optional).copied().collect()
    }

    fn split<'a>(&self, word: &'a str, given: &Given<'_>) -> Result<(&'static str, &'a str), Exit> {
        let all = self.all();
        let Some((key, value)) = word.split_once('=') else {
            // `purge_queue orders` is clear enough.
            let mut keyless = all.iter().take(self.keyless);
            return match keyless.find(|key| given.get(key).is_none()) {
                Some(next) => Ok((next, word)),
                None => Err(Exit::Usage(format!(
                    "{word:?} has no key; the keys are {}",
                    all.join(", ")
                ))),
            };
        };
        if let Some(known) = all.iter().find(|known| **known == key) {
            return Ok((known, value));
        }
        let hint = match nearest(key, &all) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys are {}", all.join(", ")),
        };
        Err(Exit::Usage(format!("unknown key `{key}`; {hint}")))
    }
}

impl<'a> Given<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, value)| *value)
    }

    /// A text; empty if it is not given.
    pub(super) fn text(&self, key: &str) -> &'a str {
        self.get(key).unwrap_or_default()
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, Exit> {
        match self.get(key) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(Exit::Usage(format!("{key}={other}: give true or false"))),
        }
    }

    pub(super) fn count(&self, key: &str, default: u32) -> Result<u32, Exit> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| Exit::Usage(format!("{key}={text}: give a whole number")))
    }

    /// A JSON object; empty if it is not given.
    pub(super) fn object(&self, key: &str) -> Result<Map<String, Value>, Exit> {
        self.get(key)
            .map_or_else(|| Ok(Map::new()), |text| object(key, text))
    }
}

/// A JSON object.
pub(super) fn object(key: &str, text: &str) -> Result<Map<String, Value>, Exit> {
    serde_json::from_str(text).map_err(|error| {
        Exit::Data(format!(
            "{key}={text}: give a JSON object such as '{{\"x-max-length\": 1000}}' ({error})"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["durable", "arguments"],
        keyless: 1,
    };

    fn read(words: &[&str]) -> Result<Vec<(String, String)>, Exit> {
        let settings = Settings {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        let given = settings.read(&KEYS)?;
        Ok(given
            .0
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect())
    }

    fn refusal(words: &[&str]) -> Option<String> {
        match read(words) {
            Err(Exit::Usage(text)) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn keys_come_in_any_order_and_the_first_may_be_left_out() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            read(&["durable=true", "name=a=b"]),
            Ok(vec![pair("durable", "true"), pair("name", "a=b")])
        );
        assert_eq!(read(&["orders"]), Ok(vec![pair("name", "orders")]));
    }

    #[test]
    fn what_is_wrong_says_what_would_be_right() {
        let cases = [
            (&["durable=true"][..], "`name=…` is missing"),
            (
                &["a", "b"],
                "\"b\" has no key; the keys are name, durable, arguments",
            ),
            (
                &["a", "durabel=true"],
                "unknown key `durabel`; did you mean `durable`?",
            ),
            (
                &["a", "node=x"],
                "unknown key `node`; the keys are name, durable, arguments",
            ),
            (&["a", "name=b"], "`name` is given twice"),
        ];
        for (words, expected) in cases {
            assert_eq!(refusal(words).as_deref(), Some(expected), "{words:?}");
        }
    }

    #[test]
    fn values_have_types() -> Result<(), Exit> {
        let settings = Settings {
            words: vec!["name=q".into(), "durable=yes".into(), "arguments=[]".into()],
        };
        let given = settings.read(&KEYS)?;
        assert_eq!(
            given.flag("durable", true),
            Err(Exit::Usage("durable=yes: give true or false".to_owned()))
        );
        assert!(given.object("arguments").is_err());
        assert_eq!(given.flag("absent", true), Ok(true));
        Ok(())
    }
}
