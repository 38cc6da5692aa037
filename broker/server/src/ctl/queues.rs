//! Commands on one queue that the protocol does not have.

use serde_json::json;

use super::Settings;
use super::client::Client;
use super::definitions::{Done, queue_path};
use super::output::Output;
use super::settings::Keys;

const NAME: Keys = Keys {
    required: &["name"],
    optional: &[],
    keyless: 1,
};

const UNACKED: [&str; 5] = [
    "position",
    "channel_name",
    "consumer_tag",
    "delivery_tag",
    "unacked_for_seconds",
];

pub(super) fn pause(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    change(client, settings, "pause")?;
    output.done("queue paused")
}

pub(super) fn resume(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    change(client, settings, "resume")?;
    output.done("queue resumed")
}

fn change(client: &Client, settings: &Settings, what: &str) -> Done {
    let given = settings.read(&NAME)?;
    let path = format!("{}/{what}", queue_path(client, &given)?);
    let about = client.about("queue", given.text("name"));
    client.put(&path, &json!({}), &about)?;
    Ok(())
}

pub(super) fn list_unacked(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    let given = settings.read(&NAME)?;
    let path = format!("{}/unacked", queue_path(client, &given)?);
    let unacked = client.get(&path, &client.about("queue", given.text("name")))?;
    output.list(&unacked, &UNACKED, &[])
}
