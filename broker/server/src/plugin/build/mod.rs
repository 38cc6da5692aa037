//! `amphora plugin build`: a folder with source to a component.
//!
//! A file per language knows its tools; [`project`] finds out what a folder is, [`tools`] runs what is needed, [`component`] has the last look.

mod c;
mod cache;
pub(super) use self::cache::cache;
mod component;
mod javascript;
mod project;
mod python;
mod rust;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

pub(super) use self::project::Language;
use self::project::Project;
use self::tools::Tools;

/// Build a component from a folder with a plugin's source
///
/// What the folder is, is told by what is in it: Cargo.toml (Rust), *.c, *.js or *.py; a file plugin.toml says the rest. The component is
/// written into the folder, and its path to stdout.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The folders.
    #[arg(value_name = "DIR", default_value = ".")]
    folders: Vec<PathBuf>,
    /// Where to write the component [default: NAME.wasm in the folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Install tools that are missing with apt-get. Only root can.
    #[arg(
        long,
        env = "AMPHORA_PLUGIN_INSTALL",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    install: bool,
    /// Do not say what is run, and show its output only if it fails.
    #[arg(short, long)]
    quiet: bool,
}

/// Builds them one after the other.
///
/// # Errors
/// The first failure: a missing tool, an error in the source, or a folder that is no plugin.
#[expect(clippy::print_stdout, reason = "the path is the result")]
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    ensure!(
        args.output.is_none() || args.folders.len() == 1,
        "--output names one file, but {} folders are given",
        args.folders.len()
    );
    let tools = Tools {
        quiet: args.quiet,
        install: args.install,
    };
    for folder in &args.folders {
        let file = build(tools, folder, args.output.as_deref())
            .with_context(|| format!("{} is not built", folder.display()))?;
        println!("{}", file.display());
    }
    Ok(())
}

fn build(tools: Tools, folder: &Path, output: Option<&Path>) -> anyhow::Result<PathBuf> {
    let project = Project::open(folder)?;
    let _turn = project.turn()?;
    let output = output.map_or_else(|| project.default_output(), Path::to_owned);
    let bytes = match project.language {
        Language::Rust => rust::build(tools, &project),
        Language::C => c::build(tools, &project),
        Language::Js => javascript::build(tools, &project),
        Language::Python => python::build(tools, &project),
    }?;
    let summary = component::check(&bytes)?;
    // A broker that watches the file must never see half of it.
    let unfinished = output.with_extension("wasm.part");
    fs::write(&unfinished, &bytes).with_context(|| unfinished.display().to_string())?;
    fs::rename(&unfinished, &output).with_context(|| output.display().to_string())?;
    tools.say(&format!("{}: {summary}", output.display()));
    Ok(output)
}

/// The language of a project, and the name that its component gets.
///
/// # Errors
/// The folder is no project.
#[cfg(test)]
pub(super) fn recognise(folder: &Path) -> anyhow::Result<(Language, String)> {
    let project = Project::open(folder)?;
    Ok((project.language, project.name))
}
