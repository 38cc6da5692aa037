//! Real files, and a broker that notes what it is told. A component is a text, and one that begins with `broken` cannot be loaded.

mod attachments;
mod replaced;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use parking_lot::Mutex;
use tempfile::TempDir;

use super::{Apply, Loading, Reload, Source};
use crate::config::{Attachment, Config, Limits, Plugin, Target, Tls};

/// How long a change may take to be noticed, on a machine that is busy with other tests.
const NOTICED: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
struct Noted {
    notes: Mutex<Vec<String>>,
    /// Who supplies each type of exchange.
    types: Mutex<BTreeMap<String, String>>,
    /// What somebody else has unloaded.
    unloaded: Mutex<BTreeSet<String>>,
}

impl Noted {
    fn note(&self, text: String) {
        self.notes.lock().push(text);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock())
    }

    /// Waits until this is noted, and a moment more for what should not be.
    fn wait_for(&self, last: &str) -> Vec<String> {
        let began = Instant::now();
        let is_noted = || self.notes.lock().iter().any(|text| text == last);
        while !is_noted() && began.elapsed() < NOTICED {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(500));
        let mut notes = self.take();
        // On a machine that stops this test for a while, a file may have been seen between its opening and its writing.
        notes.retain(|text| text != "load a  10ms");
        notes
    }
}

impl Apply for Noted {
    fn load(&self, loads: &[Loading<'_>]) -> anyhow::Result<()> {
        let mut types = self.types.lock();
        let mut notes = Vec::new();
        for load in loads {
            let (plugin, text) = (load.plugin, String::from_utf8_lossy(&load.component));
            let owner = plugin
                .exchange_type
                .as_ref()
                .and_then(|wanted| types.get(wanted));
            let gives = |owner: &String| {
                let is_one = loads.iter().any(|other| other.plugin.name == *owner);
                is_one || load.giver == Some(owner)
            };
            if owner.is_some_and(|owner| !gives(owner)) {
                let wanted = plugin.exchange_type.as_deref().unwrap_or_default();
                self.note(format!("refused {} {wanted}", plugin.name));
                bail!("another plugin supplies it");
            }
            if text.starts_with("broken") {
                self.note(format!("refused {} {text}", plugin.name));
                bail!("this is no component");
            }
            let deadline = plugin.deadline.as_millis();
            notes.push(format!("load {} {text} {deadline}ms", plugin.name));
        }
        types.retain(|_, owner| !loads.iter().any(|load| load.plugin.name == *owner));
        let supplied = loads.iter().filter_map(|load| {
            let exchange_type = load.plugin.exchange_type.clone()?;
            Some((exchange_type, load.plugin.name.clone()))
        });
        types.extend(supplied);
        // What comes into force at once is one note.
        self.note(notes.join(" with "));
        Ok(())
    }

    fn is_in_force(&self, plugin: &str, _: &str) -> bool {
        !self.unloaded.lock().contains(plugin)
    }

    fn absent(&self, plugin: &Plugin, _: &str) {
        self.note(format!("absent {}", plugin.name));
    }

    fn unload(&self, name: &str) {
        self.types.lock().retain(|_, owner| owner != name);
        self.note(format!("unload {name}"));
    }

    fn set_attachments(&self, attachments: Vec<Attachment>) {
        let place = |attachment: &Attachment| match &attachment.target {
            Target::Exchange(pattern) | Target::Queue(pattern) => {
                format!("{} {}", attachment.plugin, pattern.as_str())
            }
        };
        let places: Vec<_> = attachments.iter().map(place).collect();
        self.note(format!("attach {}", places.join(", ")));
    }

    fn set_log_level(&self, level: &str) -> anyhow::Result<()> {
        self.note(format!("level {level}"));
        Ok(())
    }

    fn set_limits(&self, limits: &Limits) {
        self.note(format!("memory {}", limits.memory_mark));
    }

    fn set_tls(&self, tls: &Tls) -> anyhow::Result<()> {
        let file = tls.certificate.as_deref().unwrap_or(Path::new(""));
        let text = std::fs::read_to_string(file)?;
        self.note(format!("certificate {text}"));
        Ok(())
    }
}

/// A configuration in a folder of its own, and what the broker was told.
struct Setup {
    folder: TempDir,
    broker: Arc<Noted>,
}

impl Setup {
    /// A folder with these files, of which `amphora.toml` is the configuration.
    fn new(files: &[(&str, &str)]) -> anyhow::Result<Self> {
        let setup = Self {
            folder: tempfile::tempdir()?,
            broker: Arc::default(),
        };
        for (name, text) in files {
            setup.write(name, text)?;
        }
        Ok(setup)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.path(name), text)?)
    }

    /// As most editors save: another file is moved into the place.
    fn replace(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let other = self.path(&format!(".{}.swp", name.replace('/', "-")));
        std::fs::write(&other, text)?;
        Ok(std::fs::rename(other, self.path(name))?)
    }

    /// Loads what is there, and returns it with what the broker was told.
    fn start(&self) -> anyhow::Result<(Reload, Vec<String>)> {
        let file = self.path("amphora.toml");
        let read = |file: &Path, text: &str| Config::parse(file, text, |_| {});
        let config = read(&file, &std::fs::read_to_string(&file)?)?;
        let source = Source::new(file, read);
        let mut reload = Reload::new(source, &config, self.broker.clone());
        reload.load_all();
        Ok((reload, self.broker.take()))
    }
}

fn plugin(name: &str, more: &str) -> String {
    format!("[[plugin]]\nname = \"{name}\"\npath = \"{name}.wasm\"\n{more}\n")
}

fn attach(name: &str, exchange: &str) -> String {
    format!("[[attach]]\nplugin = \"{name}\"\nexchange = \"{exchange}\"\n")
}

/// What is logged while `work` runs.
fn logged(work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8_lossy(&lines.0.lock()).into_owned()
}

#[test]
fn everything_is_loaded_at_first_and_only_what_changed_later() -> anyhow::Result<()> {
    let config = plugin("a", "") + &plugin("b", "") + &attach("a", ".*");
    let setup = Setup::new(&[
        ("amphora.toml", &config),
        ("a.wasm", "one"),
        ("b.wasm", "one"),
    ])?;
    let (mut reload, told) = setup.start()?;
    assert_eq!(told, ["load a one 10ms", "load b one 10ms", "attach a .*"]);

    reload.round();
    assert_eq!(setup.broker.take(), [""; 0]);

    setup.write("b.wasm", "two")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["load b two 10ms"]);

    let config = plugin("a", "deadline = \"5ms\"") + &plugin("c", "") + &attach("c", "^x");
    setup.write("c.wasm", "one")?;
    setup.write("amphora.toml", &config)?;
    reload.round();
    let expected = [
        "load c one 10ms",
        "attach c ^x",
        "load a one 5ms",
        "unload b",
    ];
    assert_eq!(setup.broker.take(), expected);

    setup.write(
        "amphora.toml",
        &("[logging]\nlevel = \"debug\"\n".to_owned() + &config),
    )?;
    reload.round();
    assert_eq!(setup.broker.take(), ["level debug"]);
    Ok(())
}

#[test]
fn a_touch_does_nothing() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", "")), ("a.wasm", "one")])?;
    let (mut reload, _) = setup.start()?;
    setup.replace("a.wasm", "one")?;
    setup.replace("amphora.toml", &plugin("a", ""))?;
    reload.round();
    reload.round_again();
    assert_eq!(setup.broker.take(), [""; 0]);
    Ok(())
}

#[test]
fn what_cannot_be_loaded_is_tried_again_when_it_changes_or_somebody_asks() -> anyhow::Result<()> {
    let config = plugin("a", "") + &plugin("b", "");
    let setup = Setup::new(&[
        ("amphora.toml", &config),
        ("a.wasm", "one"),
        ("b.wasm", "one"),
    ])?;
    let (mut reload, _) = setup.start()?;
    setup.write("a.wasm", "broken")?;
    let log = logged(|| reload.round());
    assert!(
        log.contains("a plugin cannot be loaded; what was in force stays plugin=\"a\" error=this is no component"),
        "{log}"
    );
    assert_eq!(setup.broker.take(), ["refused a broken"]);

    // Something else happens.
    setup.write("b.wasm", "two")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["load b two 10ms"]);
    reload.round_again();
    assert_eq!(setup.broker.take(), ["refused a broken"]);

    setup.write("a.wasm", "broken two")?;
    reload.round();
    setup.write(
        "amphora.toml",
        &(plugin("a", "deadline = \"5ms\"") + &plugin("b", "")),
    )?;
    reload.round();
    let expected = ["refused a broken two", "refused a broken two"];
    assert_eq!(setup.broker.take(), expected);

    // As it was when it could be loaded, but with other settings.
    setup.write("a.wasm", "one")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["load a one 5ms"]);
    Ok(())
}

#[test]
fn going_back_to_what_is_in_force_loads_nothing() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", "")), ("a.wasm", "one")])?;
    let (mut reload, _) = setup.start()?;
    setup.write("a.wasm", "broken")?;
    reload.round();
    setup.write("a.wasm", "one")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["refused a broken"]);
    setup.write("a.wasm", "broken")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["refused a broken"]);
    Ok(())
}

#[test]
fn a_component_that_is_not_there_is_told_once_and_loaded_when_it_appears() -> anyhow::Result<()> {
    let config = plugin("a", "exchange-type = \"x-a\"");
    let setup = Setup::new(&[("amphora.toml", &config)])?;
    let (mut reload, told) = setup.start()?;
    assert_eq!(told, ["absent a"]);
    reload.round();
    assert_eq!(setup.broker.take(), [""; 0]);
    setup.write("a.wasm", "one")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["load a one 10ms"]);
    std::fs::remove_file(setup.path("a.wasm"))?;
    reload.round();
    assert_eq!(setup.broker.take(), ["absent a"]);
    setup.write("amphora.toml", "# nothing")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["unload a"]);
    Ok(())
}

#[test]
fn a_bad_configuration_is_logged_with_its_line_and_changes_nothing() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", &plugin("a", "")), ("a.wasm", "one")])?;
    let (mut reload, _) = setup.start()?;
    let bad = plugin("b", "") + &plugin("a", "deadline = \"never\"");
    setup.write("amphora.toml", &bad)?;
    let log = logged(|| reload.round());
    assert!(log.contains("amphora.toml:8: plugin.deadline: "), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert_eq!(logged(|| reload.round()), "");

    // For a moment, an editor's file is empty, or away.
    setup.write("amphora.toml", "")?;
    let log = logged(|| reload.round());
    assert!(log.contains("amphora.toml: it is empty"), "{log}");
    std::fs::remove_file(setup.path("amphora.toml"))?;
    let log = logged(|| reload.round());
    assert!(log.contains("amphora.toml: No such file"), "{log}");
    assert_eq!(setup.broker.take(), [""; 0]);

    // Components are still looked at.
    setup.write("a.wasm", "two")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["load a two 10ms"]);
    Ok(())
}

#[test]
fn what_needs_a_restart_is_said_once() -> anyhow::Result<()> {
    let setup = Setup::new(&[("amphora.toml", "# nothing")])?;
    let (mut reload, _) = setup.start()?;
    let changed = "durability = \"os\"\n[server_properties]\nproduct = \"RabbitMQ\"\n";
    setup.write("amphora.toml", changed)?;
    let log = logged(|| reload.round());
    let expected = "changed in the configuration, and in force after a restart sections=durability, server_properties";
    assert!(log.contains(expected), "{log}");
    setup.write("amphora.toml", &format!("{changed}# more"))?;
    assert_eq!(logged(|| reload.round()), "");
    setup.write("amphora.toml", "# nothing")?;
    assert_eq!(logged(|| reload.round()), "");
    Ok(())
}

#[test]
fn limits_and_certificates_are_taken_in_force() -> anyhow::Result<()> {
    let setup = Setup::new(&[("cert.pem", "one"), ("key.pem", "key")])?;
    let (certificate, key) = (setup.path("cert.pem"), setup.path("key.pem"));
    let config = |mark: &str| {
        format!(
            "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n[limits]\nmemory_mark = \"{mark}\"\n"
        )
    };
    setup.write("amphora.toml", &config("1GiB"))?;
    let (mut reload, told) = setup.start()?;
    assert_eq!(told, [""; 0]);
    let changed = config("2GiB") + "channel_max = 50\n";
    setup.write("amphora.toml", &changed)?;
    let log = logged(|| reload.round());
    let expected = r#"changed the limits limits=channel_max = 50, memory_mark = "2GiB""#;
    assert!(log.contains(expected), "{log}");
    assert_eq!(setup.broker.take(), ["memory 2GiB"]);
    setup.replace("cert.pem", "two")?;
    reload.round();
    assert_eq!(setup.broker.take(), ["certificate two"]);
    reload.round();
    assert_eq!(setup.broker.take(), [""; 0]);
    Ok(())
}
