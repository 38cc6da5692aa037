//! Keeps `config.example.toml` true: it documents every key, and shows the defaults.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use amphora_core::hook::OnError;

use super::{Attachment, Config, Credential, Grant, Plugin, Tls, Tracing};

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
        tracing: Tracing {
            endpoint: Some("http://127.0.0.1:4318/v1/traces".to_owned()),
            ..Tracing::default()
        },
        load_definitions: Some("definitions.json".into()),
        ..Config::default()
    };
    let mut by_hash = every_option_set.users[0].clone();
    by_hash.credential = Some(Credential::Hash("…".to_owned()));
    every_option_set.users.push(by_hash);
    every_option_set.plugins.push(plugin_with_every_option()?);
    every_option_set.attachments = attachments_with_every_option()?;
    let known = keys(&toml::Value::try_from(&every_option_set)?, "");

    let shown = keys(&toml::from_str(&uncommented())?, "");

    assert_eq!(shown, known);
    Ok(())
}

#[test]
fn the_plugins_of_the_example_can_be_configured_so() -> Result<(), Box<dyn Error>> {
    let example = uncommented();
    let plugins = example.find("\n[[plugin]]").unwrap_or_default();
    let attached_twice = &example[plugins..];
    let refused = Config::parse(Path::new("etc/amphora.toml"), attached_twice, |_| {});
    assert!(refused.is_err_and(|error| error.to_string().contains("give one")));

    let plugins = attached_twice.replace("queue = ", "#queue = ");
    let config = Config::parse(Path::new("etc/amphora.toml"), &plugins, |_| {})?;

    let [router, redact] = &config.plugins[..] else {
        panic!("two plugins, not {:?}", config.plugins)
    };
    assert_eq!(
        router.path.as_deref(),
        Some(Path::new("etc/plugins/content-router.wasm"))
    );
    assert!(router.grants.contains(&Grant::Config));
    let defaults = Plugin::uploaded(&redact.name, [])?;
    assert_eq!(
        (
            router.deadline,
            router.memory,
            router.kv_size,
            router.on_error
        ),
        (
            defaults.deadline,
            defaults.memory,
            defaults.kv_size,
            defaults.on_error
        )
    );
    let [attachment] = &config.attachments[..] else {
        panic!("one attachment, not {:?}", config.attachments)
    };
    assert!(attachment.covers_exchange("/", "orders.eu"));
    assert!(!attachment.covers_exchange("/", "old.orders"));
    assert!(!attachment.covers_exchange("other", "orders.eu"));
    assert!(!attachment.covers_queue("/", "orders.eu"));
    assert_eq!(attachment.on_error(redact), OnError::Pass);
    Ok(())
}

fn plugin_with_every_option() -> Result<Plugin, Box<dyn Error>> {
    let mut plugin = Plugin::uploaded(
        "content-router",
        [
            ("exchange-type", "x-content"),
            ("dead-letter-exchange", "failed"),
            ("dead-letter-routing-key", "content"),
            ("config", r#"{"default":"unmatched"}"#),
        ],
    )?;
    plugin.path = Some("plugins/content-router.wasm".into());
    Ok(plugin)
}

fn attachments_with_every_option() -> Result<Vec<Attachment>, Box<dyn Error>> {
    #[derive(serde::Deserialize)]
    struct Attachments {
        attach: Vec<Attachment>,
    }
    let text = r#"
        attach = [
            { plugin = "redact", queue = "^audit$" },
            { plugin = "redact", exchange = "^orders", vhost = "/", on-error = "pass",
              dead-letter-exchange = "failed", dead-letter-routing-key = "orders" },
        ]
    "#;
    Ok(toml::from_str::<Attachments>(text)?.attach)
}

/// The example with its optional keys in force. They are commented out without a space: `#key = …`, `#[[section]]`.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
            format!("{key}\n")
        }
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
