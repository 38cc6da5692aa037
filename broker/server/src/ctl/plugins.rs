//! Commands about plugins.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::client::{About, Client, segment};
use super::output::{Output, cell};
use super::settings::Keys;
use super::{Format, Settings};
use crate::cli::exit::Exit;
use crate::config::ByteSize;

/// How long a load may take: a large component compiles for tens of seconds, longer on a busy machine.
const LOAD_TIMEOUT: Duration = Duration::from_mins(10);

const NAME: Keys = Keys {
    required: &["name"],
    optional: &[],
    keyless: 1,
};

pub(super) fn show(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    let given = settings.read(&NAME)?;
    let name = given.text("name");
    let plugin = client.get(&path(name), &about(name))?;
    if output.format() == Format::Json {
        return output.json(&plugin);
    }
    let mut pairs = identity(&plugin);
    pairs.extend(bounds(&plugin));
    pairs.extend(figures(&plugin));
    output.pairs(&pairs)
}

pub(super) fn load(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &[
            "file",
            "exchange-type",
            "grants",
            "deadline",
            "memory",
            "kv-size",
            "on-error",
            "dead-letter-exchange",
            "dead-letter-routing-key",
            "config",
        ],
        keyless: 1,
    };
    let settings = with_file(settings);
    let given = settings.read(&KEYS)?;
    let name = given.text("name");
    let options = KEYS.optional.iter().skip(1);
    let query: Vec<String> = options
        .filter_map(|key| Some(format!("{key}={}", segment(given.get(key)?))))
        .collect();
    let patient = client.waiting(LOAD_TIMEOUT);
    match given.get("file") {
        Some(file) => {
            let component = std::fs::read(file)
                .map_err(|error| Exit::Data(format!("{file}: cannot be read: {error}")))?;
            let path = format!("{}?{}", path(name), query.join("&"));
            patient.put_component(&path, component, &about(name))?;
        }
        None if query.is_empty() => {
            let path = format!("{}/load", path(name));
            patient.post(&path, &Value::Null, &about(name))?;
        }
        None => {
            let text = "settings come with a FILE; those of a plugin with a path are in the broker's configuration";
            return Err(Exit::Usage(text.to_owned()));
        }
    }
    in_force(client, name, "plugin loaded", output)
}

pub(super) fn rollback(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    let given = settings.read(&NAME)?;
    let name = given.text("name");
    let path = format!("{}/rollback", path(name));
    let patient = client.waiting(LOAD_TIMEOUT);
    patient.post(&path, &Value::Null, &about(name))?;
    in_force(client, name, "plugin rolled back", output)
}

pub(super) fn unload(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["force"],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let name = given.text("name");
    let path = format!("{}?force={}", path(name), given.flag("force", false)?);
    client.delete(&path, &[], &about(name))?;
    output.done("plugin unloaded")
}

pub(super) fn logs(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    let given = settings.read(&NAME)?;
    let name = given.text("name");
    let mut lines = client.get(&format!("{}/logs", path(name)), &about(name))?;
    if output.format() == Format::Table {
        for line in lines.as_array_mut().into_iter().flatten() {
            line["at"] = json!(moment(&line["at"]));
        }
    }
    output.list(&lines, &["at", "level", "text"], &[])
}

/// `load_plugin NAME FILE` is clear enough: the second word without a key is the file.
fn with_file(settings: &Settings) -> Settings {
    let mut words = settings.words.clone();
    let mut bare = words.iter_mut().filter(|word| !word.contains('='));
    if let Some(file) = bare.nth(1) {
        *file = format!("file={file}");
    }
    Settings { words }
}

/// Says which version is in force after a change.
fn in_force(client: &Client, name: &str, text: &str, output: &mut Output<'_>) -> Result<(), Exit> {
    let plugin = client.get(&path(name), &about(name))?;
    let (version, hash) = (shown(&plugin["version"]), shown(&plugin["hash"]));
    let ends = match plugin["path"].as_str() {
        Some(path) if plugin["source"] == "upload" => {
            format!("; it is in force until the next load from {path}")
        }
        _ => String::new(),
    };
    output.done(&format!("{text}: version {version}, hash {hash}{ends}"))
}

fn identity(plugin: &Value) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("Name", shown(&plugin["name"])),
        ("State", state(plugin)),
        ("Kind", shown(&plugin["kind"])),
        ("Exchange type", shown(&plugin["exchange_type"])),
        ("Version", shown(&plugin["version"])),
        ("Hash", shown(&plugin["hash"])),
        ("Size", bytes(&plugin["size"])),
        ("Loaded", moment(&plugin["loaded_at"])),
        ("Source", source(plugin)),
        ("Previous version", shown(&plugin["previous"]["version"])),
    ];
    let failure = &plugin["last_error"];
    if !failure.is_null() {
        let text = format!("{} {}", moment(&failure["at"]), shown(&failure["text"]));
        pairs.push(("Last error", text));
    }
    pairs
}

fn bounds(plugin: &Value) -> Vec<(&'static str, String)> {
    let needs = &plugin["needs"];
    let pure = if needs["pure"] == true { ", pure" } else { "" };
    let needs = format!(
        "{}; headers {}; body {}{pure}",
        words(&needs["parts"]),
        words(&needs["headers"]),
        shown(&needs["body"])
    );
    vec![
        (
            "Needs",
            if plugin["needs"].is_null() {
                "-".to_owned()
            } else {
                needs
            },
        ),
        ("Grants", words(&plugin["grants"])),
        ("Deadline", format!("{} ms", shown(&plugin["deadline_ms"]))),
        ("Memory limit", bytes(&plugin["memory_max"])),
        ("Store limit", bytes(&plugin["kv_max"])),
        ("On error", shown(&plugin["on_error"])),
        ("Dead letters to", shown(&plugin["dead_letter_exchange"])),
    ]
}

fn figures(plugin: &Value) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        ("Instances", shown(&plugin["instances"])),
        ("Memory", bytes(&plugin["memory"])),
        ("Exchanges", shown(&plugin["exchanges"])),
        ("Calls", shown(&plugin["calls"])),
        ("Messages", shown(&plugin["messages"])),
        ("Messages a call", shown(&plugin["batch_size"]["mean"])),
        (
            "Time a message",
            nanoseconds(&plugin["ns_per_message"]["mean"]),
        ),
        ("Cache hits", shown(&plugin["cache_hits"])),
        ("Failures", failures(&plugin["errors"])),
        ("Failed messages", shown(&plugin["failed_messages"])),
        ("Lost dead letters", shown(&plugin["lost_dead_letters"])),
        ("Lost publishes", shown(&plugin["lost_publishes"])),
        ("Quarantines", shown(&plugin["quarantines"])),
        (
            "Loads",
            format!(
                "{}, and {} failed",
                shown(&plugin["loads"]),
                shown(&plugin["failed_loads"])
            ),
        ),
        (
            "Store",
            format!(
                "{} in {} entries",
                bytes(&plugin["kv_bytes"]),
                shown(&plugin["kv_entries"])
            ),
        ),
        ("Log lines dropped", shown(&plugin["log_lines_dropped"])),
    ];
    for (name, value) in plugin["metrics"].as_object().into_iter().flatten() {
        pairs.push(("Metric", format!("{name} {value}")));
    }
    pairs
}

fn state(plugin: &Value) -> String {
    let state = shown(&plugin["state"]);
    match plugin["quarantine_left_ms"].as_u64() {
        Some(left) => {
            let left = humantime::format_duration(Duration::from_millis(left));
            format!("{state}, called again in {left}")
        }
        None => state,
    }
}

fn source(plugin: &Value) -> String {
    match (plugin["source"].as_str(), plugin["path"].as_str()) {
        (Some("config"), Some(path)) => path.to_owned(),
        (Some("upload"), Some(path)) => format!("uploaded, in the place of {path}"),
        _ => "uploaded".to_owned(),
    }
}

fn failures(errors: &Value) -> String {
    let errors = errors.as_object().into_iter().flatten();
    let errors = errors.filter(|(_, count)| count.as_u64() != Some(0));
    let errors: Vec<_> = errors
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    if errors.is_empty() {
        "none".to_owned()
    } else {
        errors.join(", ")
    }
}

fn words(list: &Value) -> String {
    match list {
        Value::Array(words) if words.is_empty() => "none".to_owned(),
        Value::Array(words) => words.iter().map(shown).collect::<Vec<_>>().join(" "),
        other => shown(other),
    }
}

/// A value for people, on one line; `-` where there is none.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        other => cell(other),
    }
}

fn bytes(value: &Value) -> String {
    let amount = value
        .as_u64()
        .map(|bytes| ByteSize::bytes(bytes).approximately());
    amount.unwrap_or_else(|| "-".to_owned())
}

fn nanoseconds(value: &Value) -> String {
    value
        .as_u64()
        .map_or_else(|| "-".to_owned(), |mean| format!("{mean} ns"))
}

fn moment(millis: &Value) -> String {
    let since = millis.as_u64().map(Duration::from_millis);
    let moment = since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    moment.map_or_else(
        || "-".to_owned(),
        |moment| humantime::format_rfc3339_millis(moment).to_string(),
    )
}

fn path(name: &str) -> String {
    format!("/plugins/{}", segment(name))
}

fn about(name: &str) -> About {
    About(format!("plugin '{name}'"))
}
