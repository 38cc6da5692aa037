//! The repository's files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use amphora_tests::workspace;
use anyhow::{Context, bail};

/// A file, by its path from the repository's root.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    pub(crate) fn read(path: &str) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(workspace().join(path)).context(path.to_owned())?;
        Ok(Self {
            path: path.to_owned(),
            text,
        })
    }

    /// Whether its name ends in this, behind a dot.
    pub(crate) fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension() == Some(OsStr::new(extension))
    }

    /// Whether it holds nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| part == "tests" || part == "tests.rs" || part == "testing.rs")
    }

    /// How many lines it has above the tests at its foot.
    pub(crate) fn lines(&self) -> usize {
        let foot = self.text.find("\n#[cfg(test)]\nmod tests {");
        let body = self.text.get(..foot.unwrap_or(self.text.len()));
        body.unwrap_or_default().lines().count()
    }
}

/// Every text file that is committed, or about to be.
pub(crate) fn all() -> anyhow::Result<Vec<File>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(workspace())
        .output()
        .context("git does not run")?;
    if !output.status.success() {
        bail!("git: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut files = Vec::new();
    for path in String::from_utf8(output.stdout)?.split_terminator('\0') {
        let full: PathBuf = workspace().join(path);
        // A path that is deleted and not committed yet is still listed.
        let Ok(bytes) = std::fs::read(full) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File {
                path: path.to_owned(),
                text,
            });
        }
    }
    Ok(files)
}
