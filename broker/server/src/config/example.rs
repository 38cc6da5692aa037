//! Keeps `config.example.toml` true: it documents every key, and shows the defaults.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use super::{Config, Credential, Tls};

const EXAMPLE: &str = include_str!("../../config.example.toml");

#[test]
fn the_example_is_the_defaults() -> Result<(), Box<dyn Error>> {
    let example = Config::parse(Path::new("config.example.toml"), EXAMPLE, |_| {})?;
    assert_eq!(example, Config::default());
    Ok(())
}

#[test]
fn the_example_has_every_key_and_no_other() -> Result<(), Box<dyn Error>> {
    let mut every_option_set = Config {
        tls: Tls {
            certificate: Some("broker.pem".into()),
            key: Some("broker.key".into()),
            client_ca: Some("clients.pem".into()),
            ..Tls::default()
        },
        ..Config::default()
    };
    let mut by_hash = every_option_set.users[0].clone();
    by_hash.credential = Some(Credential::Hash("…".to_owned()));
    every_option_set.users.push(by_hash);
    let known = keys(&toml::Value::try_from(&every_option_set)?, "");

    let shown = keys(&toml::from_str(&uncommented())?, "");

    assert_eq!(shown, known);
    Ok(())
}

/// The example with its optional keys in force. They are commented out without a space: `#key = …`.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{key}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(line).collect()
}

fn keys(value: &toml::Value, path: &str) -> BTreeSet<String> {
    match value {
        toml::Value::Table(table) => {
            let dotted = |key: &str| format!("{path}.{key}");
            table
                .iter()
                .flat_map(|(key, value)| keys(value, &dotted(key)))
                .collect()
        }
        toml::Value::Array(list) if list.iter().any(toml::Value::is_table) => {
            list.iter().flat_map(|value| keys(value, path)).collect()
        }
        _ => BTreeSet::from([path.to_owned()]),
    }
}
