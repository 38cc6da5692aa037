//! Two plugins whose types of exchange change places in one edit of the configuration.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use amphora_tests::{Broker, PATIENCE, Settings, workspace};
use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::built::{component, example};
use crate::channel::{Channel, none};
use crate::hot_load::{REFUSED, is_told, replace};
use crate::operator::shown;

/// As a pattern of words, `#` matches everything and `k.+` nothing; as a regular expression it is the other way round.
const KEYS: [&str; 2] = ["#", "k.+"];
const EXCHANGES: [&str; 2] = ["one", "two"];

/// The components: one that takes keys as words, and one that takes them as regular expressions.
struct Files {
    _folder: TempDir,
    paths: [PathBuf; 2],
    regex: Vec<u8>,
}

impl Files {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let paths = ["words.wasm", "regex.wasm"].map(|name| folder.path().join(name));
        let regex = component(&workspace().join("plugins/regex-topic"))?;
        replace(&paths[0], &example("rust")?)?;
        replace(&paths[1], &regex)?;
        Ok(Self {
            _folder: folder,
            paths,
            regex,
        })
    }

    /// A configuration in which they supply these types.
    fn config(&self, types: [&str; 2]) -> String {
        let sections = ["words", "regex"].iter().zip(&self.paths).zip(types);
        let sections = sections.map(|((name, path), supplied)| {
            format!(
                "[[plugin]]\nname = \"{name}\"\npath = '{}'\nexchange-type = \"{supplied}\"\ngrants = [\"config\"]\n",
                path.display()
            )
        });
        sections.collect()
    }
}

#[test]
fn types_change_places_in_one_edit_or_not_at_all() -> anyhow::Result<()> {
    let files = Files::new()?;
    let (before, after) = (
        files.config(["x-one", "x-two"]),
        files.config(["x-two", "x-one"]),
    );
    let mut broker = Broker::with(Settings {
        config: before.clone(),
        ..Settings::default()
    })?;
    let mut channel = Channel::open(&broker)?;
    declare(&mut channel)?;
    ensure!(ways(&mut channel)? == ["#", "k.+"]);
    let sent = change_meanwhile(&mut broker, &after)?;
    let mut arrived = 0;
    for (exchange, key) in places() {
        arrived += channel.take(&format!("{exchange} {key}"))?.len() as u64;
    }
    assert_eq!(arrived, sent);
    ensure!(ways(&mut channel)? == ["k.+", "#"]);

    // Back again; but one of them is broken, and so neither moves until it is mended.
    replace(&files.paths[1], b"broken")?;
    broker.logged(REFUSED)?;
    broker.configure(&before)?;
    broker.hang_up()?;
    told(
        &broker,
        "words",
        "together with plugin 'regex', which is not loaded",
    )?;
    told(&broker, "regex", "this is no WebAssembly component")?;
    ensure!(ways(&mut channel)? == ["k.+", "#"]);
    replace(&files.paths[1], &files.regex)?;
    broker.lines_logged("loaded a plugin", 6)?;
    ensure!(ways(&mut channel)? == ["#", "k.+"]);
    Ok(())
}

/// Edits the configuration while messages are published. None of them is refused; returns how many there were.
fn change_meanwhile(broker: &mut Broker, config: &str) -> anyhow::Result<u64> {
    let done = AtomicBool::new(false);
    let mut channel = Channel::open(broker)?;
    std::thread::scope(|scope| {
        let publishing = scope.spawn(|| -> anyhow::Result<u64> {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                for exchange in EXCHANGES {
                    let confirmed = channel.publish((exchange, "k.1"), none(), "meanwhile")?;
                    ensure!(confirmed, "a message to '{exchange}' is refused");
                    sent += 1;
                }
            }
            Ok(sent)
        });
        let changed = broker
            .configure(config)
            .and_then(|()| broker.hang_up())
            .and_then(|()| broker.lines_logged("loaded a plugin", 4).map(drop));
        done.store(true, Ordering::Relaxed);
        let sent = publishing.join().ok().context("the publisher panicked")?;
        changed.and(sent)
    })
}

fn places() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXCHANGES
        .into_iter()
        .flat_map(|exchange| KEYS.map(|key| (exchange, key)))
}

/// Exchanges of both types, with a queue for each key.
fn declare(channel: &mut Channel) -> anyhow::Result<()> {
    for exchange in EXCHANGES {
        channel.exchange(exchange, &format!("x-{exchange}"), none())?;
    }
    for (exchange, key) in places() {
        let queue = format!("{exchange} {key}");
        channel.queue(&queue, none())?;
        channel.bind_with(&queue, exchange, key)?;
    }
    Ok(())
}

/// For each exchange, the binding key by which a message goes.
fn ways(channel: &mut Channel) -> anyhow::Result<Vec<&'static str>> {
    let mut ways = Vec::new();
    for exchange in EXCHANGES {
        ensure!(channel.publish((exchange, "k.1"), none(), "body")?);
        for key in KEYS {
            let arrived = channel.take(&format!("{exchange} {key}"))?;
            ways.extend(arrived.iter().map(|_| key));
        }
    }
    Ok(ways)
}

/// Waits until the API and the command line say that the last load failed, and why.
fn told(broker: &Broker, name: &str, text: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    while is_told(broker, name, text).is_err() {
        ensure!(begun.elapsed() < PATIENCE, "{}", shown(broker, name)?);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
