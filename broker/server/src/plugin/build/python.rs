//! Python: the module, what it imports, and `CPython` become a component, whose state after importing the module is what it starts from.

use std::fs;
use std::process::Command;

use anyhow::Context;

use super::cache;
use super::project::Project;
use super::tools::{self, Tools};
use crate::plugin::contract::{self, GUEST};

const TOOL: &str = "componentize-py";
const VERSION: &str = "0.25.1";

/// Builds it.
///
/// # Errors
/// There is no Python, the tool cannot be fetched, or it does not accept the module.
pub(super) fn build(tools: Tools, project: &Project) -> anyhow::Result<Vec<u8>> {
    let main = project.main()?;
    let module = main
        .file_stem()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} is not named as a module can be", main.display()))?;
    let has_venv = tools::ask(
        &mut Command::new("python3"),
        ["-c", "import ensurepip, venv"],
    );
    if has_venv.is_none() {
        tools.install(
            "building Python needs python3 (3.10 or newer) with the module venv",
            &["python3", "python3-venv"],
        )?;
    }
    let folder = cache::tool(TOOL, VERSION, |folder| {
        tools.run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(format!("{TOOL}=={VERSION}"));
        tools.run(&mut pip).with_context(|| {
            format!("{TOOL} {VERSION} is fetched once, and PyPI must be reachable for it")
        })
    })?;
    let scratch = project.scratch();
    let wit = scratch.join("wit");
    let own = project.folder.join("wit");
    contract::lay_out(&wit, &own, &project.world, &project.grants)?;
    let output = scratch.join("plugin.wasm");
    let mut command = Command::new(folder.join("bin").join(TOOL));
    command
        .current_dir(&project.folder)
        .arg("--wit-path")
        .arg(&wit)
        // Its WASI imports stay: a traceback goes to standard error, which the host shows.
        .args(["--world", GUEST, "componentize"])
        .arg("--python-path")
        .arg(main.parent().unwrap_or(&project.folder))
        .arg("--output")
        .arg(&output)
        .arg(module);
    tools
        .run(&mut command)
        .with_context(|| format!("{} cannot be imported", main.display()))?;
    fs::read(&output).with_context(|| output.display().to_string())
}
