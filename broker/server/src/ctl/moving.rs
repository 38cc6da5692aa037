//! `amphora ctl move_messages`: from a queue to another one, to an exchange, or back to where messages died.

use serde_json::{Value, json};

use super::Settings;
use super::client::{Client, segment};
use super::output::Output;
use super::progress::Progress;
use super::settings::Keys;
use crate::cli::exit::Exit;

/// Messages in one request.
const PART: u64 = 1000;

const KEYS: Keys = Keys {
    required: &["source"],
    optional: &["destination", "exchange", "routing_key", "count"],
    keyless: 1,
};

pub(super) fn run(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    let given = settings.read(&KEYS)?;
    let mut body = match (given.get("destination"), given.get("exchange")) {
        (Some(_), Some(_)) => {
            let text = "give destination=QUEUE or exchange=EXCHANGE; without both, messages go back to where they died";
            return Err(Exit::Usage(text.to_owned()));
        }
        (Some(queue), None) => json!({ "exchange": "", "routing_key": queue }),
        (None, Some(exchange)) => json!({ "exchange": exchange }),
        (None, None) => json!({}),
    };
    if let Some(key) = given.get("routing_key") {
        body["routing_key"] = key.into();
    }
    let source = given.text("source");
    let about = client.about("queue", source);
    let path = format!("/queues/{}/{}", segment(client.vhost()), segment(source));
    let queue = client.get(&format!("{path}?columns=messages_ready"), &about)?;
    let ready = queue["messages_ready"].as_u64().unwrap_or_default();
    let wanted = match given.get("count") {
        None => ready,
        Some(_) => ready.min(given.count("count", 0)?.into()),
    };
    let progress = Progress::begin(&format!("moving from '{source}'"), Some(wanted));
    let (mut moved, mut stopped) = (0, Value::Null);
    while moved < wanted && stopped.is_null() {
        body["count"] = PART.min(wanted - moved).into();
        let answer = client.post(&format!("{path}/move"), &body, &about)?;
        let part = answer["moved"].as_u64().unwrap_or_default();
        moved += part;
        progress.advance(part);
        stopped = answer["stopped"].clone();
        if part == 0 {
            break;
        }
    }
    drop(progress);
    let answer = json!({ "moved": moved, "stopped": stopped });
    match stopped.as_str() {
        None => output.answer(&answer, &format!("{moved} messages moved")),
        Some(reason) => {
            output.answer(&answer, &format!("{moved} messages moved"))?;
            Err(Exit::Failed(format!("the next one stays: {reason}")))
        }
    }
}
