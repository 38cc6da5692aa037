//! Tools of npm and `PyPI`, in versions that are known to work, kept beside each other for all plugins of the user.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The folder of a tool in a version. If it is not there, `install` makes it, once: others wait meanwhile.
///
/// # Errors
/// There is no place for it, or `install` fails; then the next call tries again.
pub(super) fn tool(
    name: &str,
    version: &str,
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    tool_in(&cache, name, version, install)
}

fn tool_in(
    cache: &Path,
    name: &str,
    version: &str,
    install: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
    let folder = cache.join(format!("{name}-{version}"));
    let lock = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock).with_context(|| lock.display().to_string())?;
    lock.lock()
        .with_context(|| format!("{}: cannot be locked", cache.display()))?;
    // Written last, so that what was interrupted is not taken for whole.
    let whole = folder.join(".whole");
    if whole.exists() {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    install(&folder)?;
    fs::write(&whole, "").with_context(|| whole.display().to_string())?;
    Ok(folder)
}

/// The folder for all that is kept for plugins' authors.
///
/// # Errors
/// There is no place for it.
pub(in crate::plugin) fn cache() -> anyhow::Result<PathBuf> {
    let from = |name: &str| env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    let cache = from("XDG_CACHE_HOME")
        .filter(absolute)
        .or_else(|| Some(from("HOME").filter(absolute)?.join(".cache")));
    match cache {
        Some(cache) => Ok(cache.join("amphora-plugins")),
        None => bail!("there is no place to keep tools; set XDG_CACHE_HOME to a folder"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_installed_once_and_again_after_a_failure() {
        let cache = tempfile::tempdir().unwrap();
        let mut calls = 0;
        let mut get = |works: bool| {
            tool_in(cache.path(), "tool", "1.2", |folder| {
                calls += 1;
                fs::write(folder.join("part"), "").unwrap();
                if works { Ok(()) } else { bail!("no network") }
            })
        };
        assert_eq!(get(false).unwrap_err().to_string(), "no network");
        let folder = get(true).unwrap();
        assert_eq!(folder, cache.path().join("tool-1.2"));
        assert_eq!(get(false).unwrap(), folder);
        assert_eq!(calls, 2);
    }
}
