//! What every component is, whatever it was written in.

use anyhow::{Context, ensure};
use wit_bindgen_core::wit_parser::{Resolve, WorldId, WorldItem, WorldKey};
use wit_component::{ComponentEncoder, DecodedWasm};

use super::super::contract::PACKAGE;

/// Makes a component of a core module that was compiled against bindings, which left in it what they bind.
///
/// # Errors
/// It imports what no plugin can have, or has no bindings.
pub(super) fn encode(core: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|mut encoder| encoder.encode())
        .context(
            "the compiled module cannot become a component; if it imports something unknown, a library in it expects a browser or an operating system",
        )
}

/// Looks at a component as a plugin, and says in a few words what it is.
///
/// # Errors
/// It does not export what every plugin does, in a version that is known.
pub(super) fn check(bytes: &[u8]) -> anyhow::Result<String> {
    let decoded = wit_component::decode(bytes).context("what was built is no component")?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        anyhow::bail!("what was built is a WIT package, and not a component");
    };
    let (package, version) = PACKAGE.split_once('@').unwrap_or((PACKAGE, ""));
    let plugin = format!("{package}/plugin@{version}");
    let exports = interfaces(&resolve, world, true);
    ensure!(
        exports.contains(&plugin),
        "it does not export {plugin}, so it is no plugin; it exports {}",
        listed(&exports)
    );
    let prefix = format!("{package}/");
    let mut grants: Vec<String> = interfaces(&resolve, world, false)
        .into_iter()
        .map(|name| match name.strip_prefix(&prefix) {
            Some(name) => name.split('@').next().unwrap_or_default().to_owned(),
            // An empty world, whichever parts of it the language's runtime asks for.
            None if name.starts_with("wasi:") => "wasi".to_owned(),
            None => name,
        })
        .filter(|name| name != "types")
        .collect();
    grants.dedup();
    Ok(format!(
        "{} KiB, imports {}",
        bytes.len().div_ceil(1024),
        listed(&grants)
    ))
}

fn interfaces(resolve: &Resolve, world: WorldId, exports: bool) -> Vec<String> {
    let world = &resolve.worlds[world];
    let items = if exports {
        &world.exports
    } else {
        &world.imports
    };
    items
        .iter()
        .filter_map(|(key, item)| match (key, item) {
            (WorldKey::Interface(id), WorldItem::Interface { .. }) => resolve.id_of(*id),
            (WorldKey::Name(name), _) => Some(name.clone()),
            _ => None,
        })
        .collect()
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_refused() {
        let error = check(b"no wasm").unwrap_err();
        assert!(format!("{error:#}").starts_with("what was built is no component: "));
        // A component that has nothing at all.
        let error = check(b"\0asm\x0d\0\x01\0").unwrap_err();
        assert_eq!(
            error.to_string(),
            "it does not export amphora:plugin/plugin@0.1.0, so it is no plugin; it exports nothing"
        );
        let error = encode(b"\0asm\x01\0\0\0").and_then(|bytes| check(&bytes));
        assert!(error.is_err());
    }
}
