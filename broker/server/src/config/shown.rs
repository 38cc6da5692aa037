//! The configuration for somebody who looks at it.

use serde_json::{Map, Value};

use super::Config;

/// Sections that have passwords in them, or what plugins are told.
const SECRET: [&str; 3] = ["users", "plugin", "attach"];

impl Config {
    /// As the file would have it, every default filled in, without the sections that hold secrets.
    ///
    /// # Errors
    /// A path is not UTF-8.
    pub fn shown(&self) -> Result<Map<String, Value>, serde_json::Error> {
        let mut sections = match serde_json::to_value(self)? {
            Value::Object(sections) => sections,
            _ => Map::new(),
        };
        for section in SECRET {
            sections.remove(section);
        }
        Ok(sections)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_every_section_but_those_with_secrets() -> Result<(), serde_json::Error> {
        let shown = Config::default().shown()?;
        assert_eq!(shown["limits"]["channel_max"], 2047);
        assert_eq!(shown["management"]["failed_logins_max"], 60);
        let whole = serde_json::to_value(Config::default())?;
        let whole = whole.as_object().map(Map::len).unwrap_or_default();
        assert_eq!(shown.len() + SECRET.len(), whole);
        assert!(!Value::Object(shown).to_string().contains("guest"));
        Ok(())
    }
}
