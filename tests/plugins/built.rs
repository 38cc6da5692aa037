//! `amphora plugin`, as an author runs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use amphora_tests::{binary, workspace};
use anyhow::{Context, ensure};

/// Runs `amphora plugin` in a folder, and returns what it wrote on stdout.
///
/// Tools are fetched when they are used first, and `AMPHORA_PLUGIN_INSTALL` says whether missing packages are installed.
pub(crate) fn plugin(folder: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(binary()?)
        .arg("plugin")
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", guests())
        .output()
        .context("amphora does not run")?;
    ensure!(
        output.status.success(),
        "amphora plugin {}: {}\n{}{}",
        arguments.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Where cargo puts what it makes of all guests, so that what they have in common is made once.
fn guests() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace().join(target).join("guests")
}

/// Builds an example, and returns the component.
pub(crate) fn example(language: &str) -> anyhow::Result<Vec<u8>> {
    let folder = workspace().join("examples/plugins").join(language);
    component(&folder)
}

/// Builds what is in a folder, and returns the component.
pub(crate) fn component(folder: &Path) -> anyhow::Result<Vec<u8>> {
    let output = plugin(folder, &["build", "--quiet"])?;
    let file = PathBuf::from(output.trim_end());
    std::fs::read(&file).with_context(|| file.display().to_string())
}
