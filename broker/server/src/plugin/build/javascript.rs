//! JavaScript: the script and `QuickJS` become a component, whose state after loading the script is what it starts from.

use std::fs;
use std::process::Command;

use anyhow::Context;

use super::cache;
use super::project::Project;
use super::tools::{Tools, find};
use crate::plugin::contract::{self, GUEST};

const TOOL: &str = "componentize-qjs";
const VERSION: &str = "0.4.5";

/// Builds it.
///
/// # Errors
/// There is no Node.js, the tool cannot be fetched, or it does not accept the script.
pub(super) fn build(tools: Tools, project: &Project) -> anyhow::Result<Vec<u8>> {
    let main = project.main()?;
    if find("npm").is_none() || find("node").is_none() {
        tools.install(
            "building JavaScript needs node and npm (Node.js 18 or newer)",
            &["nodejs", "npm"],
        )?;
    }
    let folder = cache::tool(TOOL, VERSION, |folder| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--save-exact",
            "--prefix",
        ])
        .arg(folder)
        .arg(format!("{TOOL}@{VERSION}"));
        tools.run(&mut npm).with_context(|| {
            format!(
                "{TOOL} {VERSION} is fetched once, and the registry of npm must be reachable for it"
            )
        })
    })?;
    let scratch = project.scratch();
    let wit = scratch.join("wit");
    let own = project.folder.join("wit");
    contract::lay_out(&wit, &own, &project.world, &project.grants)?;
    let output = scratch.join("plugin.wasm");
    let mut command = Command::new(folder.join("node_modules/.bin").join(TOOL));
    command
        .current_dir(&project.folder)
        // Its WASI imports stay: what it says of an exception goes to standard error, which the host shows.
        .args(["--sync", "--world", GUEST, "--wit"])
        .arg(&wit)
        .arg("--module-root")
        .arg(&project.folder)
        .arg("--js")
        .arg(main)
        .arg("--output")
        .arg(&output);
    tools
        .run(&mut command)
        .with_context(|| format!("{} does not load as an ES module", main.display()))?;
    fs::read(&output).with_context(|| output.display().to_string())
}
