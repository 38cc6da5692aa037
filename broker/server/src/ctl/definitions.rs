//! Commands that create and remove things.

use serde_json::{Map, Value, json};

use super::Settings;
use super::client::{About, Client, exchange_segment, segment};
use super::output::Output;
use super::progress::Progress;
use super::settings::{Given, Keys};
use crate::cli::exit::Exit;

pub(super) type Done = Result<(), Exit>;

pub(super) fn declare_exchange(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Done {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["type", "durable", "auto_delete", "internal", "arguments"],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let body = json!({
        "type": given.get("type").unwrap_or("direct"),
        "durable": given.flag("durable", true)?,
        "auto_delete": given.flag("auto_delete", false)?,
        "internal": given.flag("internal", false)?,
        "arguments": given.object("arguments")?,
    });
    client.put(
        &exchange_path(client, &given),
        &body,
        &client.about("exchange", given.text("name")),
    )?;
    output.done("exchange declared")
}

pub(super) fn declare_queue(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["durable", "auto_delete", "arguments"],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let body = json!({
        "durable": given.flag("durable", true)?,
        "auto_delete": given.flag("auto_delete", false)?,
        "arguments": given.object("arguments")?,
    });
    client.put(
        &queue_path(client, &given)?,
        &body,
        &client.about("queue", given.text("name")),
    )?;
    output.done("queue declared")
}

pub(super) fn delete_exchange(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Done {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["if_unused"],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let path = format!(
        "{}?if-unused={}",
        exchange_path(client, &given),
        given.flag("if_unused", false)?
    );
    client.delete(&path, &[], &client.about("exchange", given.text("name")))?;
    output.done("exchange deleted")
}

/// `only_if` it is unused, and only if it is empty: that may be said in settings, too.
pub(super) fn delete_queue(
    client: &Client,
    settings: &Settings,
    only_if: (bool, bool),
    output: &mut Output<'_>,
) -> Done {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["if_unused", "if_empty"],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let (if_unused, if_empty) = (
        given.flag("if_unused", only_if.0)?,
        given.flag("if_empty", only_if.1)?,
    );
    let path = format!(
        "{}?if-unused={if_unused}&if-empty={if_empty}",
        queue_path(client, &given)?
    );
    client.delete(&path, &[], &client.about("queue", given.text("name")))?;
    output.done("queue deleted")
}

pub(super) fn purge_queue(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &[],
        keyless: 1,
    };
    let given = settings.read(&KEYS)?;
    let path = format!("{}/contents", queue_path(client, &given)?);
    let _progress = Progress::begin("purging", None);
    client.delete(&path, &[], &client.about("queue", given.text("name")))?;
    output.done("queue purged")
}

pub(super) fn close_connection(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Done {
    const KEYS: Keys = Keys {
        required: &["name"],
        optional: &["reason"],
        keyless: 2,
    };
    let given = settings.read(&KEYS)?;
    let path = format!("/connections/{}", segment(given.text("name")));
    let reason = given.get("reason").unwrap_or("Closed via amphora ctl");
    client.delete(
        &path,
        &[("x-reason", reason)],
        &About(format!("connection '{}'", given.text("name"))),
    )?;
    output.done("connection closed")
}

pub(super) fn bind_queue(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    let given = settings.read(&Ends::QUEUE.keys)?;
    Ends::QUEUE.bind(client, &given, output)
}

pub(super) fn unbind_queue(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    let given = settings.read(&Ends::QUEUE.keys)?;
    Ends::QUEUE.unbind(client, &given, output)
}

pub(super) fn bind_exchange(client: &Client, settings: &Settings, output: &mut Output<'_>) -> Done {
    let given = settings.read(&Ends::EXCHANGE.keys)?;
    Ends::EXCHANGE.bind(client, &given, output)
}

pub(super) fn unbind_exchange(
    client: &Client,
    settings: &Settings,
    output: &mut Output<'_>,
) -> Done {
    let given = settings.read(&Ends::EXCHANGE.keys)?;
    Ends::EXCHANGE.unbind(client, &given, output)
}

/// How the two kinds of binding name their ends.
struct Ends {
    source: &'static str,
    destination: &'static str,
    /// The kind of destination, as paths have it.
    kind: char,
    keys: Keys,
}

impl Ends {
    const QUEUE: Self = Self {
        source: "exchange",
        destination: "queue",
        kind: 'q',
        keys: Keys {
            required: &["queue", "exchange"],
            optional: &["routing_key", "arguments"],
            keyless: 1,
        },
    };

    const EXCHANGE: Self = Self {
        source: "source",
        destination: "destination",
        kind: 'e',
        keys: Keys {
            required: &["source", "destination"],
            optional: &["routing_key", "arguments"],
            keyless: 1,
        },
    };

    fn bind(&self, client: &Client, given: &Given<'_>, output: &mut Output<'_>) -> Done {
        let body = json!({ "routing_key": given.text("routing_key"), "arguments": given.object("arguments")? });
        client.post(
            &self.path(client, given),
            &body,
            &About("binding".to_owned()),
        )?;
        output.done("binding declared")
    }

    /// Only the broker knows a binding's key, so it is asked for the one that matches.
    fn unbind(&self, client: &Client, given: &Given<'_>, output: &mut Output<'_>) -> Done {
        let path = self.path(client, given);
        let (routing_key, arguments) = (given.text("routing_key"), given.object("arguments")?);
        let bindings = client.get(&path, &About("binding".to_owned()))?;
        let found = bindings.as_array().into_iter().flatten().find(|binding| {
            binding["routing_key"] == routing_key && is_same(&binding["arguments"], &arguments)
        });
        let Some(key) = found.and_then(|binding| binding["properties_key"].as_str()) else {
            let (source, destination) = (given.text(self.source), given.text(self.destination));
            return Err(Exit::Failed(format!(
                "there is no binding from '{source}' to '{destination}' with routing key '{routing_key}' and these arguments"
            )));
        };
        client.delete(
            &format!("{path}/{}", segment(key)),
            &[],
            &About("binding".to_owned()),
        )?;
        output.done("binding deleted")
    }

    fn path(&self, client: &Client, given: &Given<'_>) -> String {
        let (source, destination) = (given.text(self.source), given.text(self.destination));
        let destination = if self.kind == 'e' {
            exchange_segment(destination)
        } else {
            segment(destination)
        };
        format!(
            "/bindings/{}/e/{}/{}/{destination}",
            segment(client.vhost()),
            exchange_segment(source),
            self.kind
        )
    }
}

fn is_same(shown: &Value, arguments: &Map<String, Value>) -> bool {
    shown.as_object().is_some_and(|shown| shown == arguments)
}

fn exchange_path(client: &Client, given: &Given<'_>) -> String {
    format!(
        "/exchanges/{}/{}",
        segment(client.vhost()),
        exchange_segment(given.text("name"))
    )
}

pub(super) fn queue_path(client: &Client, given: &Given<'_>) -> Result<String, Exit> {
    let name = given.text("name");
    if name.is_empty() {
        return Err(Exit::Usage(
            "name=: a queue must have a name here".to_owned(),
        ));
    }
    Ok(format!(
        "/queues/{}/{}",
        segment(client.vhost()),
        segment(name)
    ))
}

/// Turns the firehose on or off.
pub(super) fn trace(client: &Client, on: bool, output: &mut Output<'_>) -> Result<(), Exit> {
    let vhost = client.vhost();
    let path = format!("/vhosts/{}", segment(vhost));
    let about = About(format!("vhost '{vhost}'"));
    // To put one that is not there would make it.
    client.get(&path, &about)?;
    client.put(&path, &json!({ "tracing": on }), &about)?;
    output.done(if on {
        "trace enabled"
    } else {
        "trace disabled"
    })
}
