//! The SDK for plugins in Rust, as a package that stands for itself.

use anyhow::Context;
use toml::{Table, Value};

use super::super::contract;

/// The package's files, by their paths within it.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/rust_sdk.in"));

/// The manifest of the workspace that the package is taken from.
const WORKSPACE: &str = include_str!("../../../../../plugins/Cargo.toml");

/// The package's files, to be written into a folder.
///
/// # Errors
/// Its manifest takes something from the workspace that is not there.
pub(super) fn files(folder: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for (path, text) in FILES {
        let text = match *path {
            "Cargo.toml" => manifest(text, WORKSPACE)?,
            _ => (*text).to_owned(),
        };
        files.push((format!("{folder}/{path}"), text));
    }
    for (path, text) in contract::FILES {
        files.push((format!("{folder}/wit/{path}"), text.to_owned()));
    }
    Ok(files)
}

/// Writes into a package's manifest what it takes from its workspace. Lints are the workspace's alone.
fn manifest(package: &str, workspace: &str) -> anyhow::Result<String> {
    let mut package: Table = package.parse().context("the SDK's manifest")?;
    let workspace: Table = workspace.parse().context("the plugins' manifest")?;
    let workspace = workspace.get("workspace").context("no [workspace]")?;
    for (section, from) in [("package", "package"), ("dependencies", "dependencies")] {
        let Some(Value::Table(fields)) = package.get_mut(section) else {
            continue;
        };
        for (name, value) in fields.iter_mut() {
            if value.get("workspace").and_then(Value::as_bool) == Some(true) {
                let found = workspace.get(from).and_then(|all| all.get(name));
                *value = found.with_context(|| format!("{section}: {name}"))?.clone();
            }
        }
    }
    package.remove("lints");
    package.remove("dev-dependencies");
    Ok(toml::to_string(&package)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stands_for_itself() {
        let package = "[package]\nname = \"a\"\nversion.workspace = true\n[dependencies]\nb.workspace = true\n[lints]\nworkspace = true\n";
        let workspace =
            "[workspace.package]\nversion = \"1.2.3\"\n[workspace.dependencies]\nb = \"4\"\n";
        assert_eq!(
            manifest(package, workspace).unwrap(),
            "[dependencies]\nb = \"4\"\n\n[package]\nname = \"a\"\nversion = \"1.2.3\"\n"
        );
        let error = manifest(package, "[workspace.package]").unwrap_err();
        assert_eq!(error.to_string(), "package: version");
    }

    #[test]
    fn the_sdk_is_all_there() {
        let files = files("sdk").unwrap();
        for path in ["sdk/Cargo.toml", "sdk/src/lib.rs", "sdk/wit/world.wit"] {
            assert!(files.iter().any(|(name, _)| name == path), "{path}");
        }
        let (_, manifest) = files
            .iter()
            .find(|(name, _)| name == "sdk/Cargo.toml")
            .unwrap();
        assert!(!manifest.contains("workspace"), "{manifest}");
    }
}
