//! From a file and its overrides to a [`Config`], or to a message that says which line is wrong and what would be right.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Config, de};

/// Why a configuration was refused. Its text is one line: file, line, key, what is wrong, what would be right.
#[derive(Debug)]
pub struct ConfigError {
    file: Option<PathBuf>,
    line: Option<usize>,
    key: String,
    text: String,
}

impl Config {
    /// Reads `file`, if there is one, applies what was given on the command line and in the environment, and checks the whole.
    pub fn load(
        file: Option<&Path>,
        overrides: impl FnOnce(&mut Self),
    ) -> Result<Self, ConfigError> {
        let Some(file) = file else {
            let mut config = Self::default();
            overrides(&mut config);
            return config.check().map(|()| config);
        };
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: Some(file.to_owned()),
            ..ConfigError::new("", format!("cannot be read: {error}"))
        })?;
        Self::parse(file, &text, overrides)
    }

    /// As [`Config::load`], from a text; `file` is only its name in messages.
    pub fn parse(
        file: &Path,
        text: &str,
        overrides: impl FnOnce(&mut Self),
    ) -> Result<Self, ConfigError> {
        let refuse = |key: String, span: Option<Range<usize>>, problem: String| ConfigError {
            file: span.as_ref().map(|_| file.to_owned()),
            line: span.map(|span| line_of(text, span.start)),
            key,
            text: problem,
        };
        let document = DeTable::parse(text)
            .map_err(|error| refuse(String::new(), error.span(), syntax_problem(text, &error)))?;
        let mut config: Self =
            de::from_table(&document).map_err(|p| refuse(p.key(), p.span.clone(), p.text))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        config.settle_plugins(folder);
        let definitions = config.load_definitions.take();
        config.load_definitions = definitions.map(|path| folder.join(path));
        overrides(&mut config);
        // What only shows when everything is known may still be about a key of the file.
        config.check().map_err(|error| {
            let span = span_of(document.get_ref(), &error.key);
            refuse(without_numbers(&error.key), span, error.text)
        })?;
        Ok(config)
    }

    /// Fills in what a plugin's own keys do not say: where its path begins, and that it may read its settings.
    fn settle_plugins(&mut self, folder: &Path) {
        for plugin in &mut self.plugins {
            plugin.path = plugin.path.take().map(|path| folder.join(path));
            plugin.grant_its_config();
        }
    }
}

impl ConfigError {
    /// A value that contradicts another one, or the machine it is used on.
    pub fn new(key: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            file: None,
            line: None,
            key: key.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (Some(file), None) => write!(f, "{}: ", file.display())?,
            (None, _) => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for ConfigError {}

/// What the parser has to say, on one line, and the piece of text that it is about.
fn syntax_problem(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace('\n', ", ");
    let found = error
        .span()
        .and_then(|span| text.get(span))
        .and_then(|found| found.lines().next());
    match found {
        Some(found) if !found.is_empty() => format!("{message}, at `{found}`"),
        _ => message,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text
        .bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
}

/// Where a key stands, if the file has it. The number of an element stands for `[[section]]`, which is where a key is
/// missed that it does not have.
fn span_of(document: &DeTable<'_>, key: &str) -> Option<Range<usize>> {
    let mut names = key.split('.');
    let (mut span, mut value) = child(document, names.next()?)?;
    let mut section = None;
    for name in names {
        match value.get_ref() {
            DeValue::Table(table) => match child(table, name) {
                Some(found) => (span, value) = found,
                None => return section,
            },
            DeValue::Array(list) => {
                value = list.get(name.parse::<usize>().ok()?)?;
                span = value.span();
                section = Some(span.clone());
            }
            _ => break,
        }
    }
    Some(span)
}

fn child<'a, 'i>(
    table: &'a DeTable<'i>,
    name: &str,
) -> Option<(Range<usize>, &'a Spanned<DeValue<'i>>)> {
    let mut entries = table.iter();
    let (key, value) = entries.find(|(key, _)| key.get_ref() == name)?;
    Some((key.span(), value))
}

/// The key for people, who see where it stands by its line.
fn without_numbers(key: &str) -> String {
    let names = key.split('.').filter(|name| name.parse::<usize>().is_err());
    names.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each `cases/bad_x.toml` has its message beside it in `bad_x.err`; `UPDATE_EXPECT=1` writes them.
    #[test]
    fn every_bad_file_is_refused_with_its_message() -> std::io::Result<()> {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/cases");
        let mut checked = 0;
        for entry in std::fs::read_dir(cases)? {
            let file = entry?.path();
            if file.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let name = Path::new(file.file_name().unwrap_or_default());
            let message = match Config::parse(name, &std::fs::read_to_string(&file)?, |_| {}) {
                Ok(_) => "accepted".to_owned(),
                Err(error) => format!("{error}\n"),
            };
            expect_test::expect_file![file.with_extension("err")].assert_eq(&message);
            checked += 1;
        }
        assert!(checked > 20, "only {checked} cases were found");
        Ok(())
    }

    #[test]
    fn a_contradiction_with_a_flag_names_the_key_but_no_line() {
        let refused = Config::parse(Path::new("broker.toml"), "", |config| {
            config.listeners.amqps = vec![([127, 0, 0, 1], 5671).into()];
        });
        let message = refused.map(|_| ()).map_err(|error| error.to_string());
        let expected =
            "listeners.amqps: TLS needs a certificate; set `certificate` and `key` in [tls]";
        assert_eq!(message, Err(expected.to_owned()));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let message = Config::load(Some(Path::new("no-such.toml")), |_| {})
            .map(|_| ())
            .map_err(|e| e.to_string());
        let expected = "no-such.toml: cannot be read: No such file or directory (os error 2)";
        assert_eq!(message, Err(expected.to_owned()));
    }
}
