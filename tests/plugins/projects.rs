//! Every new project builds, and is a plugin of its kind.

use std::sync::Arc;

use amphora_plugin_host::{Host, HostSettings, PluginSpec, Standalone};

use crate::built::{component, plugin};

/// Makes a project, builds it, and loads it.
fn check(lang: &str, kind: &str) -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let name = format!("new-{lang}-{kind}");
    plugin(
        parent.path(),
        &["new", "--lang", lang, "--kind", kind, &name],
    )?;
    let bytes = component(&parent.path().join(&name))?;

    let host = Host::new(HostSettings::default(), Arc::new(Standalone::default()))?;
    let mut spec = PluginSpec::new(&name);
    if kind == "exchange" {
        spec.exchange_type = Some(format!("x-{name}"));
    }
    host.load(spec, &bytes)?;
    Ok(())
}

#[test]
fn rust() -> anyhow::Result<()> {
    check("rust", "exchange")?;
    check("rust", "transform")
}

#[test]
fn c() -> anyhow::Result<()> {
    check("c", "exchange")?;
    check("c", "transform")
}

#[test]
fn javascript() -> anyhow::Result<()> {
    check("js", "exchange")?;
    check("js", "transform")
}

#[test]
fn python() -> anyhow::Result<()> {
    check("python", "exchange")?;
    check("python", "transform")
}
