//! `amphora ctl route`: where a message would go, and why it would go nowhere else.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::client::{Client, segment};
use super::output::{Output, cell};
use super::settings::Keys;
use super::{Format, Settings};
use crate::cli::exit::Exit;

const KEYS: Keys = Keys {
    required: &["exchange"],
    optional: &["routing_key", "payload", "properties", "payload_encoding"],
    keyless: 1,
};

pub(super) fn show(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    let given = settings.read(&KEYS)?;
    let exchange = given.text("exchange");
    let body = json!({
        "exchange": exchange,
        "routing_key": given.text("routing_key"),
        "properties": given.object("properties")?,
        "payload": given.text("payload"),
        "payload_encoding": given.get("payload_encoding").unwrap_or("string"),
    });
    let path = format!("/route/{}", segment(client.vhost()));
    let report = client.post(&path, &body, &client.about("exchange", exchange))?;
    match output.format() {
        Format::Json => output.json(&report),
        Format::Table => output.text(&text(&report)),
    }
}

fn text(report: &Value) -> String {
    let mut text = String::new();
    let messages = list(&report["messages"]);
    for (number, message) in messages.iter().enumerate() {
        // One message is what was asked about.
        if messages.len() > 1 {
            line(
                &mut text,
                0,
                &format!(
                    "message {number}, {}: {}{}",
                    cell(&message["origin"]),
                    keys(message),
                    waits(&message["delay_ms"])
                ),
            );
        }
        let of_message = |item: &&Value| item["message"] == number;
        for exchange in list(&report["exchanges"]).iter().filter(of_message) {
            show_exchange(&mut text, exchange);
        }
        for queue in list(&report["queues"]).iter().filter(of_message) {
            show_queue(&mut text, queue);
        }
    }
    if let Some(reason) = report["refused"].as_str() {
        line(&mut text, 0, &format!("refused: {reason}"));
    }
    for note in list(&report["notes"]) {
        line(&mut text, 0, &format!("note: {}", cell(note)));
    }
    let routed = if report["routed"] == true {
        "the message would be routed"
    } else {
        "the message would reach no queue"
    };
    line(&mut text, 0, routed);
    text
}

fn show_exchange(text: &mut String, exchange: &Value) {
    line(
        text,
        0,
        &format!(
            "exchange '{}' ({}){}{}",
            cell(&exchange["name"]),
            cell(&exchange["type"]),
            via(exchange),
            waits(&exchange["delay_ms"])
        ),
    );
    show_answers(text, "transform", list(&exchange["transforms"]));
    if exchange["plugin"].is_object() {
        show_answers(text, "plugin", std::slice::from_ref(&exchange["plugin"]));
    }
    let bindings = list(&exchange["bindings"]);
    for binding in bindings {
        let sign = if binding["matches"] == true { '+' } else { '-' };
        let (kind, name, why) = (
            cell(&binding["destination_type"]),
            cell(&binding["destination"]),
            cell(&binding["why"]),
        );
        line(text, 1, &format!("{sign} {kind} '{name}': {why}"));
    }
    let total = exchange["bindings_total"].as_u64().unwrap_or_default();
    let hidden = total.saturating_sub(bindings.len() as u64);
    if hidden > 0 && exchange["delay_ms"].is_null() {
        line(text, 1, &format!("… and {hidden} more bindings"));
    }
    let alternate = &exchange["alternate_exchange"];
    if alternate["taken"] == true {
        let missing = if alternate["exists"] == true {
            ""
        } else {
            ", which does not exist"
        };
        let name = cell(&alternate["name"]);
        line(
            text,
            1,
            &format!("nothing matches: to alternate exchange '{name}'{missing}"),
        );
    }
}

fn show_queue(text: &mut String, queue: &Value) {
    let chance = if queue["certain"] == true {
        ""
    } else {
        ", perhaps"
    };
    line(
        text,
        0,
        &format!(
            "queue '{}'{}: {}{chance}{}",
            cell(&queue["name"]),
            via(queue),
            cell(&queue["outcome"]),
            waits(&queue["delay_ms"])
        ),
    );
    show_answers(text, "transform", list(&queue["transforms"]));
}

fn show_answers(text: &mut String, what: &str, answers: &[Value]) {
    for answer in answers {
        let mut said = format!(
            "{what} '{}': {}",
            cell(&answer["name"]),
            cell(&answer["verdict"])
        );
        for (before, column) in [(" ", "detail"), (", on-error ", "on_error")] {
            let value = cell(&answer[column]);
            if !value.is_empty() {
                let _ = write!(said, "{before}{value}");
            }
        }
        line(text, 1, &said);
        for logged in list(&answer["log"]) {
            let (level, words) = (cell(&logged["level"]), cell(&logged["text"]));
            line(text, 2, &format!("would log {level}: {words}"));
        }
        for sent in list(&answer["would_publish"]) {
            let (exchange, key) = (cell(&sent["exchange"]), cell(&sent["routing_key"]));
            line(
                text,
                2,
                &format!("would publish to '{exchange}' by '{key}'"),
            );
        }
        if answer["would_store"]
            .as_u64()
            .is_some_and(|count| count > 0)
        {
            line(
                text,
                2,
                &format!("would store {} entries", answer["would_store"]),
            );
        }
    }
}

fn line(text: &mut String, depth: usize, words: &str) {
    let _ = writeln!(text, "{:width$}{words}", "", width = depth * 2);
}

fn via(item: &Value) -> String {
    let names: Vec<String> = list(&item["via"])
        .iter()
        .map(|name| format!("'{}'", cell(name)))
        .collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" via {}", names.join(", "))
    }
}

fn keys(message: &Value) -> String {
    let keys: Vec<String> = list(&message["routing_keys"])
        .iter()
        .map(|key| format!("'{}'", cell(key)))
        .collect();
    format!("'{}' by {}", cell(&message["exchange"]), keys.join(", "))
}

fn waits(delay: &Value) -> String {
    match delay.as_u64() {
        None | Some(0) => String::new(),
        Some(delay) => format!(", after {delay} ms"),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
