//! Plugins that are loaded, configured and replaced while a broker runs, as its operator does it: by its configuration, SIGHUP, and files.

use std::path::Path;

use amphora_tests::{Broker, Settings, workspace};
use anyhow::{Context, ensure};

use crate::built::{component, plugin};
use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::operator::{ctl, shown};

pub(crate) const REFUSED: &str = "a plugin cannot be loaded; what was in force stays";

/// The section of a plugin that writes this into each message.
fn editing(path: &Path, text: &str, more: &str) -> String {
    format!(
        "[[plugin]]\nname = \"edit\"\npath = '{}'\n{more}\n[[plugin.config.edit]]\nat = \"/by\"\naction = \"set\"\nvalue = \"{text}\"\n",
        path.display()
    )
}

/// A queue that the plugin is attached to.
fn attach(channel: &mut Channel, plugin: &str) -> anyhow::Result<()> {
    channel.queue("q", table([("x-transform", plugin.into())]))
}

/// What becomes of a message.
fn edited(channel: &mut Channel) -> anyhow::Result<String> {
    ensure!(channel.publish(("", "q"), none(), "{}")?, "it is refused");
    channel.one("q")
}

#[test]
fn a_hangup_takes_edited_settings_in_force_or_says_why_not() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("edit.wasm");
    let bytes = component(&workspace().join("plugins/json-edit"))?;
    std::fs::write(&path, bytes)?;
    let granted = "grants = [\"config\", \"log\"]";
    let mut broker = Broker::with(Settings {
        config: editing(&path, "one", granted),
        ..Settings::default()
    })?;
    let mut channel = Channel::open(&broker)?;
    attach(&mut channel, "edit")?;
    assert_eq!(edited(&mut channel)?, r#"{"by":"one"}"#);

    // Its own settings, its deadline and what becomes of messages if it fails.
    let more = format!("{granted}\ndeadline = \"7ms\"\nmemory = \"32MiB\"\non-error = \"pass\"");
    broker.configure(&editing(&path, "two", &more))?;
    broker.hang_up()?;
    broker.logged("reading the configuration again")?;
    broker.lines_logged("loaded a plugin", 2)?;
    assert_eq!(edited(&mut channel)?, r#"{"by":"two"}"#);
    let found = shown(&broker, "edit")?;
    assert_eq!(
        (&found["deadline_ms"], &found["on_error"]),
        (&7.into(), &"pass".into())
    );
    assert_eq!(found["memory_max"], 32 << 20);

    // What it imports is granted no more: all stays as it was.
    let more = "grants = [\"config\"]\ndeadline = \"9ms\"";
    broker.configure(&editing(&path, "three", more))?;
    broker.hang_up()?;
    let line = broker.logged(REFUSED)?;
    let reason = "amphora:plugin/log@0.1.0 needs the grant 'log'";
    assert!(line.contains(reason), "{line}");
    assert_eq!(edited(&mut channel)?, r#"{"by":"two"}"#);
    is_told(&broker, "edit", reason)?;
    let found = shown(&broker, "edit")?;
    assert_eq!(
        (&found["state"], &found["deadline_ms"]),
        (&"loaded".into(), &7.into())
    );

    broker.configure(&editing(&path, "three", granted))?;
    broker.hang_up()?;
    broker.lines_logged("loaded a plugin", 3)?;
    assert_eq!(edited(&mut channel)?, r#"{"by":"three"}"#);
    let found = shown(&broker, "edit")?;
    assert!(found["last_error"].is_null(), "{found}");
    Ok(())
}

/// The reason why the last load failed is what the API and the command line say.
pub(crate) fn is_told(broker: &Broker, name: &str, reason: &str) -> anyhow::Result<()> {
    let found = shown(broker, name)?;
    let text = found["last_error"]["text"].as_str().unwrap_or_default();
    ensure!(text.contains(reason), "{found}");
    let (done, said) = ctl(broker, &["show_plugin", name])?;
    ensure!(done && said.contains(reason), "{said}");
    Ok(())
}

/// A transform in C that writes a header of this name. It is a second's work to build.
fn marking(folder: &Path, header: &str) -> anyhow::Result<Vec<u8>> {
    let project = folder.join("marks");
    if !project.exists() {
        plugin(
            folder,
            &["new", "--lang", "c", "--kind", "transform", "marks"],
        )?;
    }
    let source = project.join("plugin.c");
    let text = std::fs::read_to_string(&source)?;
    let begin = text.find("header->name, \"").context("it has changed")?;
    let begin = begin + "header->name, \"".len();
    let end = begin + text[begin..].find('"').context("it has changed")?;
    std::fs::write(&source, [&text[..begin], header, &text[end..]].concat())?;
    component(&project)
}

#[test]
fn a_component_that_is_replaced_on_disk_is_in_force_and_a_broken_one_is_not() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("marks.wasm");
    let (first, second) = (
        marking(folder.path(), "first")?,
        marking(folder.path(), "second")?,
    );
    std::fs::write(&file, &first)?;
    let broker = Broker::with(Settings {
        config: format!("[[plugin]]\nname = \"marks\"\npath = {file:?}\n"),
        ..Settings::default()
    })?;
    let mut channel = Channel::open(&broker)?;
    attach(&mut channel, "marks")?;
    assert_eq!(marked(&mut channel)?, ["first"]);
    let hash = |broker: &Broker| anyhow::Ok(shown(broker, "marks")?["hash"].clone());
    let before = hash(&broker)?;

    replace(&file, &second)?;
    broker.lines_logged("loaded a plugin", 2)?;
    assert_eq!(marked(&mut channel)?, ["second"]);
    let now = hash(&broker)?;
    assert_ne!(now, before);

    // Nobody tells the broker of it, and then its operator insists.
    replace(&file, b"this is no component")?;
    let reason = "this is no WebAssembly component";
    let line = broker.logged(REFUSED)?;
    assert!(line.contains(reason), "{line}");
    assert_eq!(marked(&mut channel)?, ["second"]);
    assert_eq!(hash(&broker)?, now);
    is_told(&broker, "marks", reason)?;
    broker.hang_up()?;
    broker.lines_logged(REFUSED, 2)?;
    let (done, said) = ctl(&broker, &["load_plugin", "marks"])?;
    assert!(!done && said.contains(reason), "{said}");
    assert_eq!(marked(&mut channel)?, ["second"]);

    replace(&file, &first)?;
    broker.lines_logged("loaded a plugin", 3)?;
    assert_eq!(marked(&mut channel)?, ["first"]);
    assert_eq!(hash(&broker)?, before);
    Ok(())
}

/// Puts another file in the place of one, at once.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let aside = file.with_extension("aside");
    std::fs::write(&aside, bytes)?;
    std::fs::rename(aside, file)?;
    Ok(())
}

/// The headers of a message that has passed.
fn marked(channel: &mut Channel) -> anyhow::Result<Vec<String>> {
    ensure!(channel.publish(("", "q"), none(), "body")?, "it is refused");
    channel.headers("q")
}
