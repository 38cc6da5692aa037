//! Where the configuration comes from, again and again.

use std::fmt;
use std::path::{Path, PathBuf};

use super::component::Content;
use crate::config::{Config, ConfigError};

type Read = Box<dyn Fn(&Path, &str) -> Result<Config, ConfigError> + Send>;

/// The configuration's file, and how it is read.
pub struct Source {
    pub(super) file: PathBuf,
    read: Read,
}

impl Source {
    /// A file, and what makes a configuration of its text: [`Config::parse`] with the flags and variables that win over the file.
    pub fn new(
        file: PathBuf,
        read: impl Fn(&Path, &str) -> Result<Config, ConfigError> + Send + 'static,
    ) -> Self {
        Self {
            file,
            read: Box::new(read),
        }
    }

    /// Where the configuration is from.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Makes a configuration of what was read.
    pub(super) fn config(&self, content: &Content) -> Result<Config, String> {
        let named = |problem: &str| format!("{}: {problem}", self.file.display());
        let text = str::from_utf8(&content.bytes).map_err(|_| named("it is not UTF-8"))?;
        // Nothing at all is a valid configuration, but also what a file is for a moment when it is written.
        if text.trim().is_empty() {
            return Err(named(
                "it is empty; to have only defaults, leave a comment in it",
            ));
        }
        (self.read)(&self.file, text).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.file).finish()
    }
}
