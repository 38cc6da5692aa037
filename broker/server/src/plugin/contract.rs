//! The plugins' contract, as the program carries it along.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

/// The files of the package `amphora:plugin`.
pub(super) const FILES: [(&str, &str); 6] = [
    ("types.wit", include_str!("../../../../wit/types.wit")),
    ("plugin.wit", include_str!("../../../../wit/plugin.wit")),
    ("exchange.wit", include_str!("../../../../wit/exchange.wit")),
    (
        "transform.wit",
        include_str!("../../../../wit/transform.wit"),
    ),
    ("grants.wit", include_str!("../../../../wit/grants.wit")),
    ("world.wit", include_str!("../../../../wit/world.wit")),
];

/// The package's name and version, as the files say.
pub(super) const PACKAGE: &str = "amphora:plugin@0.1.0";

/// What a plugin may be granted: each is an interface.
pub(super) const GRANTS: [&str; 7] = [
    "log", "metrics", "clock", "random", "config", "kv", "publish",
];

/// The worlds that a plugin's own can begin with.
pub(super) const WORLDS: [&str; 4] = [
    "exchange-plugin",
    "exchange-plugin-typed",
    "transform-plugin",
    "exchange-transform-plugin",
];

/// The name of the world that [`lay_out`] writes: bindings are named after it.
pub(super) const GUEST: &str = "guest";

/// Writes a folder that the languages' tools accept as a WIT package: the contract, and the world of one plugin that has what it uses.
/// The contract is that of the folder `own` if it exists (the plugin was written for it), else the program's.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn lay_out(
    folder: &Path,
    own: &Path,
    world: &str,
    grants: &[String],
) -> anyhow::Result<()> {
    let contract = folder.join("deps/amphora-plugin");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&contract).with_context(|| contract.display().to_string())?;
    if own.is_dir() {
        copy(own, &contract)?;
    } else {
        write(&contract)?;
    }
    let file = folder.join("world.wit");
    fs::write(&file, guest(world, grants)).with_context(|| file.display().to_string())
}

/// Writes the contract's files into a folder that exists.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(folder: &Path) -> anyhow::Result<()> {
    for (name, text) in FILES {
        let file = folder.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let file = entry?.path();
        let Some(name) = file.file_name() else {
            continue;
        };
        if file.extension().is_some_and(|extension| extension == "wit") {
            check_package(&file)?;
            fs::copy(&file, to.join(name)).with_context(|| file.display().to_string())?;
        }
    }
    Ok(())
}

/// Refuses a file of another version of the contract: its worlds and interfaces would not be found, and nothing would say why.
fn check_package(file: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut packages = text.lines().filter_map(|line| {
        let package = line.trim().strip_prefix("package ")?;
        Some(package.trim_end_matches(';').trim())
    });
    let package = packages.find(|package| package.starts_with("amphora:plugin@"));
    if let Some(package) = package {
        ensure!(
            package == PACKAGE,
            "{} is of {package}, and this program builds plugins for {PACKAGE}; take the folder `wit` that comes with it",
            file.display()
        );
    }
    Ok(())
}

fn guest(world: &str, grants: &[String]) -> String {
    let (package, version) = PACKAGE.split_once('@').unwrap_or((PACKAGE, ""));
    let mut imports = vec![format!("include {package}/{world}@{version};")];
    let granted = grants.iter();
    imports.extend(granted.map(|grant| format!("import {package}/{grant}@{version};")));
    let lines = imports.join("\n    ");
    format!("package amphora:guest;\n\nworld {GUEST} {{\n    {lines}\n}}\n")
}

#[cfg(test)]
mod tests {
    use wit_bindgen_core::wit_parser::{Resolve, WorldItem};

    use super::*;

    #[test]
    fn the_contract_has_the_worlds_and_the_grants_that_are_named_here() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(folder.path()).unwrap();

        assert_eq!(resolve.packages[package].name.to_string(), PACKAGE);
        for world in WORLDS {
            resolve.select_world(&[package], Some(world)).unwrap();
        }
        let all = resolve.select_world(&[package], Some("grants")).unwrap();
        let imported: Vec<&str> = resolve.worlds[all]
            .imports
            .values()
            .filter_map(|item| match item {
                WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.as_deref(),
                _ => None,
            })
            .filter(|name| *name != "types")
            .collect();
        assert_eq!(imported, GRANTS);
    }

    #[test]
    fn a_guest_has_a_world_of_what_it_uses() {
        let folder = tempfile::tempdir().unwrap();
        let wit = folder.path().join("wit");
        let grants = ["log".to_owned(), "kv".to_owned()];
        lay_out(
            &wit,
            &folder.path().join("none"),
            "transform-plugin",
            &grants,
        )
        .unwrap();

        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(&wit).unwrap();
        let world = resolve.select_world(&[package], None).unwrap();
        let world = &resolve.worlds[world];
        assert_eq!(world.name, GUEST);
        assert_eq!(world.exports.len(), 2);
        assert_eq!(world.imports.len(), 3, "log, kv, and the types");
    }

    #[test]
    fn a_plugins_own_copy_of_the_contract_counts() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("a.wit"), "package amphora:plugin@0.1.0;").unwrap();
        fs::write(own.join("README.md"), "").unwrap();
        let wit = folder.path().join("wit");
        lay_out(&wit, &own, "exchange-plugin", &[]).unwrap();

        let copied: Vec<_> = fs::read_dir(wit.join("deps/amphora-plugin"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(copied, ["a.wit"]);

        fs::write(own.join("a.wit"), "package amphora:plugin@0.2.0;\n").unwrap();
        let refused = lay_out(&wit, &own, "exchange-plugin", &[]).unwrap_err();
        let told = refused.to_string();
        assert!(
            told.ends_with("a.wit is of amphora:plugin@0.2.0, and this program builds plugins for amphora:plugin@0.1.0; take the folder `wit` that comes with it"),
            "{told}"
        );
    }
}
