//! The regular expression of a policy.

use std::fmt;

use fancy_regex::{Regex, RegexBuilder};

/// How far a match may go astray, in steps of the matcher. A name has at most 255 bytes, so that only a pattern made to be slow comes here.
const STEPS_MAX: usize = 100_000;

/// A regular expression over names, as RabbitMQ has them: not anchored, with look-around and back-references. Time is bounded: a match
/// that takes too many steps is none.
#[derive(Clone)]
pub struct NamePattern {
    text: Box<str>,
    regex: Regex,
}

/// The text is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPattern(String);

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Self, InvalidPattern> {
        let regex = RegexBuilder::new(text).backtrack_limit(STEPS_MAX).build();
        let regex = regex.map_err(|error| {
            // The last line says what is wrong; those above draw a picture.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            InvalidPattern(last.trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self {
            text: text.into(),
            regex,
        })
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is found in the name.
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name).unwrap_or(false)
    }

    /// The text as a pattern that matches nothing else.
    pub fn escape(text: &str) -> String {
        fancy_regex::escape(text).into_owned()
    }
}

impl PartialEq for NamePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NamePattern {}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
