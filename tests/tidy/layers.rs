//! Dependencies run one way.

use std::collections::BTreeSet;
use std::process::Command;

use amphora_tests::workspace;
use anyhow::{Context, bail};
use serde_json::Value;

/// A crate, and all that it may depend on: crates of ours, and of others.
///
/// A crate of ours that is missing here fails the test, and so does a permission that nobody uses.
const LAYERS: &[(&str, &[&str], Others)] = &[
    (
        "amphora-protocol",
        &[],
        Others::Only(&["bytes", "thiserror"]),
    ),
    (
        "amphora-core",
        &["amphora-protocol"],
        Others::Only(&[
            "bytes",
            "fancy-regex",
            "foldhash",
            "slab",
            "smallvec",
            "thiserror",
            "xxhash-rust",
        ]),
    ),
    (
        "amphora-storage",
        &["amphora-core"],
        Others::Only(&[
            "bytes",
            "fjall",
            "parking_lot",
            "rustix",
            "thiserror",
            "tracing",
            "xxhash-rust",
        ]),
    ),
    (
        "amphora-plugin-host",
        &["amphora-core", "amphora-protocol"],
        Others::Only(&[
            "arc-swap",
            "bytes",
            "foldhash",
            "parking_lot",
            "rustix",
            "sha2",
            "thiserror",
            "tracing",
            "wasmtime",
        ]),
    ),
    (
        "amphora",
        &[
            "amphora-core",
            "amphora-plugin-host",
            "amphora-protocol",
            "amphora-storage",
        ],
        Others::AllBut(&["fjall", "wasmtime"]),
    ),
    (
        "amphora-tests",
        &["amphora-protocol"],
        Others::AllBut(&["fjall", "tokio", "wasmtime"]),
    ),
];

/// What a crate may use of what others wrote.
#[derive(Clone, Copy, Debug)]
enum Others {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

#[test]
fn crates_know_only_the_layers_below() -> anyhow::Result<()> {
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let found: BTreeSet<&str> = packages.iter().filter_map(name).collect();
    let listed: BTreeSet<&str> = LAYERS.iter().map(|&(name, ..)| name).collect();
    assert_eq!(found, listed, "the crates of the workspace");
    for &(layer, ours, others) in LAYERS {
        let package = packages.iter().find(|package| name(package) == Some(layer));
        let dependencies = package.context(layer)?["dependencies"]
            .as_array()
            .context(layer)?;
        // What only tests and build scripts use says nothing about the design.
        let (own, foreign): (BTreeSet<&str>, BTreeSet<&str>) = dependencies
            .iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(name)
            .partition(|name| listed.contains(name));
        assert_eq!(own, ours.iter().copied().collect(), "{layer}, of our own");
        match others {
            Others::Only(allowed) => {
                assert_eq!(foreign, allowed.iter().copied().collect(), "{layer}");
            }
            Others::AllBut(refused) => {
                for name in refused {
                    assert!(!foreign.contains(name), "{layer} must not know {name}");
                }
            }
        }
    }
    Ok(())
}

fn name(value: &Value) -> Option<&str> {
    value["name"].as_str()
}

fn metadata() -> anyhow::Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(workspace())
        .output()?;
    if !output.status.success() {
        bail!("cargo: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
