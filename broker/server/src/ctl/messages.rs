//! Commands about single messages.

use std::io::Read;

use serde_json::{Value, json};

use super::Settings;
use super::client::{Client, exchange_segment, segment};
use super::output::Output;
use super::settings::{Given, Keys};
use crate::cli::exit::Exit;

pub(super) fn publish(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    const KEYS: Keys = Keys {
        required: &["routing_key"],
        optional: &["exchange", "payload", "properties", "payload_encoding"],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let body = json!({
        "routing_key": given.text("routing_key"),
        "properties": given.object("properties")?,
        "payload": payload(&given)?,
        "payload_encoding": given.get("payload_encoding").unwrap_or("string"),
    });
    let exchange = given.text("exchange");
    let path = format!(
        "/exchanges/{}/{}/publish",
        segment(client.vhost()),
        exchange_segment(exchange)
    );
    let answer = client.post(&path, &body, &client.about("exchange", exchange))?;
    let text = if answer["routed"] == true {
        "message published"
    } else {
        "message published, but it reached no queue"
    };
    output.answer(&answer, text)
}

pub(super) fn get(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    const KEYS: Keys = Keys {
        required: &["queue"],
        optional: &["count", "ackmode", "encoding", "truncate"],
        keyless: 1,
    };
    const COLUMNS: [&str; 8] = [
        "routing_key",
        "exchange",
        "message_count",
        "redelivered",
        "payload_bytes",
        "payload",
        "payload_encoding",
        "properties",
    ];
    let given = settings.read(&KEYS)?;
    let mut body = json!({
        "count": given.count("count", 1)?,
        "ackmode": given.get("ackmode").unwrap_or("ack_requeue_true"),
        "encoding": given.get("encoding").unwrap_or("auto"),
    });
    if given.get("truncate").is_some() {
        body["truncate"] = given.count("truncate", 0)?.into();
    }
    let queue = given.text("queue");
    let path = format!("/queues/{}/{}/get", segment(client.vhost()), segment(queue));
    let messages = client.post(&path, &body, &client.about("queue", queue))?;
    output.list(&messages, &COLUMNS, &[])
}

/// What is given, or else all of standard input.
fn payload(given: &Given<'_>) -> Result<Value, Exit> {
    if let Some(payload) = given.get("payload") {
        return Ok(payload.into());
    }
    let mut payload = String::new();
    match std::io::stdin().lock().read_to_string(&mut payload) {
        Ok(_) => Ok(payload.into()),
        Err(error) => Err(Exit::Usage(format!(
            "standard input: {error}; give bytes as payload_encoding=base64"
        ))),
    }
}
