//! `amphora ctl status`.

use std::time::Duration;

use serde_json::{Value, json};

use super::Format;
use super::client::{About, Client};
use super::output::Output;
use crate::cli::exit::Exit;
use crate::config::ByteSize;

pub(super) fn show(client: &Client, output: &mut Output<'_>) -> Result<(), Exit> {
    let overview = client.get("/overview", &About("overview".to_owned()))?;
    let nodes = client.get("/nodes", &About("node".to_owned()))?;
    let node = &nodes[0];
    if output.format() == Format::Json {
        return output.json(&json!({ "overview": overview, "node": node }));
    }
    let totals = &overview["object_totals"];
    let messages = &overview["queue_totals"];
    output.pairs(&[
        ("Node", text(&overview["node"])),
        (
            "Version",
            format!(
                "{} {}",
                text(&overview["product_name"]),
                text(&overview["product_version"])
            ),
        ),
        ("Uptime", uptime(&node["uptime"])),
        ("Process", text(&node["os_pid"])),
        ("Listeners", listeners(&overview["listeners"])),
        ("Durability", text(&overview["durability"])),
        (
            "Memory",
            format!(
                "{} of {}",
                bytes(&node["mem_used"]),
                bytes(&node["mem_limit"])
            ),
        ),
        (
            "Disk free",
            format!(
                "{}, at least {}",
                bytes(&node["disk_free"]),
                bytes(&node["disk_free_limit"])
            ),
        ),
        ("Alarms", alarms(node)),
        ("Connections", text(&totals["connections"])),
        ("Channels", text(&totals["channels"])),
        ("Consumers", text(&totals["consumers"])),
        ("Exchanges", text(&totals["exchanges"])),
        ("Queues", text(&totals["queues"])),
        (
            "Messages",
            format!(
                "{} ready, {} unacknowledged",
                text(&messages["messages_ready"]),
                text(&messages["messages_unacknowledged"])
            ),
        ),
    ])
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn bytes(value: &Value) -> String {
    ByteSize::bytes(value.as_u64().unwrap_or_default()).approximately()
}

fn uptime(value: &Value) -> String {
    let seconds = value.as_u64().unwrap_or_default() / 1_000;
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

fn listeners(value: &Value) -> String {
    let view = |listener: &Value| {
        let (protocol, address) = (text(&listener["protocol"]), text(&listener["ip_address"]));
        let address = if address.contains(':') {
            format!("[{address}]")
        } else {
            address
        };
        format!("{protocol} {address}:{}", listener["port"])
    };
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(view)
        .collect::<Vec<_>>()
        .join(", ")
}

fn alarms(node: &Value) -> String {
    let mut alarms = Vec::new();
    if node["mem_alarm"] == true {
        alarms.push("memory");
    }
    if node["disk_free_alarm"] == true {
        alarms.push("disk");
    }
    if alarms.is_empty() {
        "none".to_owned()
    } else {
        format!("{}: publishers are blocked", alarms.join(", "))
    }
}
