//! `amphora plugin new`: a project that builds, with cases that pass.

mod files;
mod sdk;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::ValueEnum;

use super::build::Language;

const NAME_MAX: usize = 64;

/// Make a folder with a new plugin
///
/// It builds as it is, with `amphora plugin build`. Its README says how to go on.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The language.
    #[arg(long, value_enum)]
    lang: Language,
    /// A type of exchange, or a transform of messages.
    #[arg(long, value_enum, default_value_t = Kind::Exchange)]
    kind: Kind,
    /// The plugin's name, and the folder's: lower-case letters, digits and hyphens.
    name: String,
}

/// What a plugin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// It routes.
    Exchange,
    /// It changes messages.
    Transform,
}

/// Makes the folder.
///
/// # Errors
/// The name is wrong, the folder exists, or it cannot be written.
#[expect(clippy::print_stdout, reason = "what to do next")]
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let name = &args.name;
    create(Path::new(""), args)?;
    println!(
        "{name} is made. Next:\n\n    cd {name}\n    amphora plugin build\n\nREADME.md says the rest."
    );
    Ok(())
}

fn create(parent: &Path, args: &Args) -> anyhow::Result<PathBuf> {
    check_name(&args.name)?;
    let folder = parent.join(&args.name);
    if folder.exists() {
        bail!(
            "{} exists already; nothing in it was changed",
            folder.display()
        );
    }
    for (path, text) in files::all(args.lang, args.kind, &args.name)? {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(folder)
}

/// The name is that of a crate and of a folder, and part of an exchange type.
fn check_name(name: &str) -> anyhow::Result<()> {
    let mut octets = name.bytes();
    let begins = octets
        .next()
        .is_some_and(|octet| octet.is_ascii_lowercase());
    let rest =
        octets.all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-');
    ensure!(
        begins && rest,
        "'{name}' is no name for a plugin: a lower-case letter, then lower-case letters, digits and hyphens, such as content-router"
    );
    ensure!(
        name.len() <= NAME_MAX,
        "'{name}' is longer than {NAME_MAX} bytes"
    );
    Ok(())
}
