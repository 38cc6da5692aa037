//! Messages for a plugin's exchange between those for others, in one piece of input: each goes where it should, in its order.

use amphora_protocol::wire::method::{Method, basic, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Settings, workspace};
use anyhow::bail;

use crate::built::component;

const ROUNDS: usize = 40;
/// A plugin's exchange, whose answers are kept, and two that are built in.
const EXCHANGES: [(&str, &str); 3] = [
    ("plugins", "x-regex"),
    ("one", "direct"),
    ("other", "direct"),
];

#[test]
fn what_waits_for_a_plugin_leads_nothing_else_astray() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("regex.wasm");
    std::fs::write(&path, component(&workspace().join("plugins/regex-topic"))?)?;
    let broker = Broker::with(Settings {
        config: format!(
            "[[plugin]]\nname = \"regex\"\npath = {path:?}\nexchange-type = \"x-regex\"\ndeadline = \"5s\"\n"
        ),
        ..Settings::default()
    })?;
    let mut client = broker.connect()?;
    client.open(1)?;
    for (name, kind) in EXCHANGES {
        declare(&mut client, name, kind)?;
    }

    let mut bytes = Vec::new();
    let mut expected: [Vec<String>; 3] = Default::default();
    for round in 0..ROUNDS {
        // Keys that are new to the plugin's exchange, and such as were there before: alone, and between others.
        for (place, fresh) in [
            (1, false),
            (2, false),
            (0, true),
            (1, false),
            (0, false),
            (2, false),
        ] {
            let (name, _) = EXCHANGES[place];
            let key = if fresh {
                format!("k{round}")
            } else {
                "k".to_owned()
            };
            let body = format!("{round} {key} {}", expected[place].len());
            let publish = basic::Publish {
                exchange: ExchangeName::new(name)?,
                routing_key: RoutingKey::new(&key)?,
                ..basic::Publish::default()
            };
            client.write_publish(
                1,
                &publish,
                &BasicProperties::default(),
                body.as_bytes(),
                &mut bytes,
            );
            expected[place].push(body);
        }
    }
    client.write(&bytes)?;
    for (place, (name, _)) in EXCHANGES.into_iter().enumerate() {
        assert_eq!(all(&mut client, name)?, expected[place], "{name}");
    }
    Ok(())
}

/// An exchange with a queue of its name, which takes all that begins with `k`, or is `k`.
fn declare(client: &mut Client, name: &str, kind: &str) -> anyhow::Result<()> {
    client.call(
        1,
        &exchange::Declare {
            exchange: ExchangeName::new(name)?,
            kind: ShortString::new(kind)?,
            ..exchange::Declare::default()
        },
    )?;
    client.call(
        1,
        &queue::Declare {
            queue: QueueName::new(name)?,
            ..queue::Declare::default()
        },
    )?;
    let bound = client.call(
        1,
        &queue::Bind {
            queue: QueueName::new(name)?,
            exchange: ExchangeName::new(name)?,
            routing_key: RoutingKey::new("k")?,
            ..queue::Bind::default()
        },
    )?;
    match bound {
        Method::Queue(queue::Method::BindOk(_)) => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// The bodies of all messages in a queue.
fn all(client: &mut Client, name: &str) -> anyhow::Result<Vec<String>> {
    let mut bodies = Vec::new();
    let get = basic::Get {
        queue: QueueName::new(name)?,
        no_ack: true,
    };
    loop {
        match client.call(1, &get)? {
            Method::Basic(basic::Method::GetEmpty(_)) => return Ok(bodies),
            Method::Basic(method) => {
                let message = client.rest_of_message(1, method)?;
                bodies.push(String::from_utf8(message.body)?);
            }
            other => bail!("{other:?}"),
        }
    }
}
