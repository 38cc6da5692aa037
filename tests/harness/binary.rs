//! Where the broker's binary is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

/// The broker that is tested: what `AMPHORA_BINARY` names, or else one that cargo makes now, with the profile of the
/// tests themselves.
pub fn binary() -> anyhow::Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| find().map_err(|error| format!("{error:#}")))
        .as_deref()
        .map_err(|error| anyhow!("no broker to test: {error}"))
}

/// The root of the repository.
pub fn workspace() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// What the variables begin with by which cargo describes a package to its tests and build scripts.
const ABOUT_PACKAGE: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_CRATE_NAME"];

fn find() -> anyhow::Result<PathBuf> {
    match std::env::var_os("AMPHORA_BINARY") {
        Some(path) => Ok(std::path::absolute(path)?),
        None => build(),
    }
}

/// Cargo says where it puts things. What it built already, it only looks at.
fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // What cargo says about the package of the tests would make it build the broker's dependencies again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ABOUT_PACKAGE.iter().any(|about| name.starts_with(about)) {
            command.env_remove(&*name);
        }
    }
    let output = command
        .args(["build", "--package=amphora", "--bin=amphora"])
        .args(["--message-format=json-render-diagnostics", "--profile"])
        .arg(profile()?)
        .current_dir(workspace())
        .stderr(Stdio::inherit())
        .output()
        .context("cargo does not run")?;
    if !output.status.success() {
        bail!("cargo does not build it");
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "amphora")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo names no executable")
}

/// The profile that this program was built with, by the folder that it is in.
fn profile() -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let folder = program.parent().and_then(Path::parent);
    match folder.and_then(Path::file_name) {
        Some(name) if name == "debug" => Ok("dev".to_owned()),
        Some(name) => Ok(name.to_string_lossy().into_owned()),
        None => bail!("{} is not in cargo's target folder", program.display()),
    }
}
