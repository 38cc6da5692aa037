//! Commands about messages that wait for their time.

use super::Settings;
use super::client::{Client, segment};
use super::output::Output;
use super::settings::Keys;
use crate::cli::exit::Exit;

pub(super) fn list(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    const KEYS: Keys = Keys {
        required: &[],
        optional: &["page", "page_size", "truncate"],
        keyless: 1,
    };
    const COLUMNS: [&str; 6] = [
        "id",
        "due",
        "exchange",
        "routing_key",
        "payload_bytes",
        "payload",
    ];
    let given = settings.read(&KEYS)?;
    let path = format!(
        "/delayed/{}?page={}&page_size={}&truncate={}",
        segment(client.vhost()),
        given.count("page", 1)?,
        given.count("page_size", 100)?,
        given.count("truncate", 100)?,
    );
    let answer = client.get(&path, &client.about("queue", "amq.amphora.delayed"))?;
    output.list(&answer["items"], &COLUMNS, &[])
}

pub(super) fn cancel(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Result<(), Exit> {
    const KEYS: Keys = Keys {
        required: &["id"],
        optional: &[],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let id = given.text("id");
    let vhost = segment(client.vhost());
    if id == "all" {
        let about = client.about("queue", "amq.amphora.delayed");
        client.delete(&format!("/delayed/{vhost}"), &[], &about)?;
        return output.done("all delayed messages are cancelled");
    }
    let path = format!("/delayed/{vhost}/{}", segment(id));
    client.delete(&path, &[], &client.about("delayed message", id))?;
    output.done("delayed message is cancelled")
}
