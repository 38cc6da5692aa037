//! A headers exchange as a plugin says the same as the broker's own: what is measured against each other does the same.

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Settings, workspace};
use anyhow::bail;

use crate::built::component;
use crate::exchange::table;

const QUEUES: usize = 40;
const MESSAGES: usize = 400;
const NAMES: [&str; 3] = ["to", "header-0", "header-1"];

#[test]
fn the_broker_and_the_plugin_agree() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("headers.wasm");
    std::fs::write(
        &path,
        component(&workspace().join("tests/plugins/headers"))?,
    )?;
    let broker = Broker::with(Settings {
        config: format!(
            "[[plugin]]\nname = \"headers\"\npath = {path:?}\nexchange-type = \"x-headers\"\n"
        ),
        ..Settings::default()
    })?;
    let mut client = broker.connect()?;
    client.open(1)?;
    for kind in ["headers", "x-headers"] {
        declare(&mut client, kind)?;
    }
    client.call(1, &confirm::Select { no_wait: false })?;
    for number in 0..MESSAGES {
        for kind in ["headers", "x-headers"] {
            publish(&mut client, kind, &headers(number))?;
        }
    }
    let (mut all, mut most) = (0, 0);
    for number in 0..QUEUES {
        let own = ready(&mut client, &name("headers", number))?;
        let plugins = ready(&mut client, &name("x-headers", number))?;
        assert_eq!(own, plugins, "queue {number}");
        all += own;
        most = most.max(own);
    }
    let messages = u32::try_from(MESSAGES)?;
    assert!(all > messages && most < messages, "the test tries nothing");
    Ok(())
}

/// What the binding of a queue asks for: of one header, two or three, all or any.
fn arguments(number: usize) -> FieldTable {
    let text = |place: usize| format!("{}", (number / (place + 1)) % 4);
    let mode = if number.is_multiple_of(3) {
        "any"
    } else {
        "all"
    };
    let mut arguments = table([("x-match", mode.into())]);
    for (place, name) in NAMES.iter().enumerate().take(1 + number % 3) {
        arguments.push(ShortString::cut(name), text(place).as_str());
    }
    arguments
}

/// What a message has: some of the headers, and others.
fn headers(number: usize) -> FieldTable {
    let mut headers = table([("else", "0".into())]);
    for (place, name) in NAMES.iter().enumerate() {
        if number >> (place + 5) & 1 == 0 {
            let text = format!("{}", number / (3 * place + 1) % 4);
            headers.push(ShortString::cut(name), text.as_str());
        }
    }
    headers
}

fn name(kind: &str, number: usize) -> String {
    format!("{kind}-{number}")
}

fn declare(client: &mut Client, kind: &str) -> anyhow::Result<()> {
    client.call(
        1,
        &exchange::Declare {
            exchange: ExchangeName::new(format!("the {kind}"))?,
            kind: ShortString::new(kind)?,
            ..exchange::Declare::default()
        },
    )?;
    for number in 0..QUEUES {
        ready(client, &name(kind, number))?;
        let bound = client.call(
            1,
            &queue::Bind {
                queue: QueueName::new(name(kind, number))?,
                exchange: ExchangeName::new(format!("the {kind}"))?,
                arguments: arguments(number),
                ..queue::Bind::default()
            },
        )?;
        let Method::Queue(queue::Method::BindOk(_)) = bound else {
            bail!("{bound:?}");
        };
    }
    Ok(())
}

fn publish(client: &mut Client, kind: &str, headers: &FieldTable) -> anyhow::Result<()> {
    let publish = basic::Publish {
        exchange: ExchangeName::new(format!("the {kind}"))?,
        routing_key: RoutingKey::default(),
        ..basic::Publish::default()
    };
    let properties = BasicProperties {
        headers: Some(headers.clone()),
        ..BasicProperties::default()
    };
    let mut bytes = Vec::new();
    client.write_publish(1, &publish, &properties, b"body", &mut bytes);
    client.write(&bytes)?;
    match client.method(1)? {
        Method::Basic(basic::Method::Ack(_)) => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// Declares the queue, if it is not there, and says how many messages it has.
fn ready(client: &mut Client, name: &str) -> anyhow::Result<u32> {
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        ..queue::Declare::default()
    };
    match client.call(1, &declare)? {
        Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count),
        other => bail!("{other:?}"),
    }
}
