//! Messages for a plugin's exchange between those for others, in one piece of input: each goes where it should, in its order.

use amphora_protocol::wire::frame::write_method_frame;
use amphora_protocol::wire::method::{Method, basic, channel, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{
    ChannelNumber, DeliveryTag, ExchangeName, QueueName, RoutingKey, ShortString,
};
use amphora_tests::{Broker, Client, Received, Settings, workspace};
use anyhow::bail;
use tempfile::TempDir;

use crate::built::component;
use crate::exchange::table;

const ROUNDS: usize = 40;
const CHANNELS: [u16; 2] = [1, 2];
/// A plugin's exchange, whose answers are kept, and two that are built in.
const EXCHANGES: [(&str, &str); 3] = [
    ("plugins", "x-regex"),
    ("one", "direct"),
    ("other", "direct"),
];

#[test]
fn what_waits_for_a_plugin_leads_nothing_else_astray() -> anyhow::Result<()> {
    let (broker, _folder) = broker()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    for (name, kind) in EXCHANGES {
        declare(&mut client, name, kind)?;
    }

    client.open(2)?;
    for channel in CHANNELS {
        client.call(channel, &confirm::Select { no_wait: false })?;
    }
    let mut run = Run::default();
    for round in 0..ROUNDS {
        // Keys that are new to the plugin's exchange, and such as were there before: alone, in runs, and between others.
        for (index, (place, fresh)) in [
            (1, false),
            (2, false),
            (0, true),
            (1, false),
            (0, false),
            (2, false),
        ]
        .into_iter()
        .enumerate()
        {
            let key = if fresh {
                format!("k{round}")
            } else {
                "k".to_owned()
            };
            for _ in 0..=(round * 7 + index * 3) % 5 {
                run.publish(&client, place, &key)?;
            }
        }
    }
    client.write(&run.bytes)?;
    // All are confirmed, on the channel that they came on.
    let mut confirmed = [0; CHANNELS.len()];
    while confirmed != run.published {
        let Received::Method(channel, Method::Basic(basic::Method::Ack(ack))) =
            client.beyond_heartbeats()?
        else {
            bail!("something else than a confirm");
        };
        let known = &mut confirmed[usize::from(channel) - 1];
        assert!(*known < ack.delivery_tag.0, "{ack:?} after {known}");
        assert!(ack.multiple || *known + 1 == ack.delivery_tag.0);
        *known = ack.delivery_tag.0;
    }
    for (place, (name, _)) in EXCHANGES.into_iter().enumerate() {
        assert_eq!(all(&mut client, name)?, run.expected[place], "{name}");
    }
    Ok(())
}

#[test]
fn what_comes_back_does_so_before_a_bad_acknowledgement_costs_the_channel() -> anyhow::Result<()> {
    let (broker, _folder) = broker()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let (name, kind) = EXCHANGES[0];
    declare(&mut client, name, kind)?;
    let publish = basic::Publish {
        exchange: ExchangeName::new(name)?,
        routing_key: RoutingKey::new("nobody's")?,
        mandatory: true,
        ..basic::Publish::default()
    };
    let mut bytes = Vec::new();
    client.write_publish(
        1,
        &publish,
        &BasicProperties::default(),
        b"back",
        &mut bytes,
    );
    let ack = basic::Ack {
        delivery_tag: DeliveryTag(99),
        multiple: false,
    };
    write_method_frame(ChannelNumber(1), &ack, &mut bytes);
    client.write(&bytes)?;
    match client.method(1)? {
        Method::Basic(method @ basic::Method::Return(_)) => {
            assert_eq!(client.rest_of_message(1, method)?.body, b"back");
        }
        other => bail!("{other:?} where the message belongs"),
    }
    match client.method(1)? {
        Method::Channel(channel::Method::Close(close)) => assert_eq!(close.reply_code, 406),
        other => bail!("{other:?} where the end of the channel belongs"),
    }
    Ok(())
}

/// A broker with the plugin of the first exchange.
fn broker() -> anyhow::Result<(Broker, TempDir)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("regex.wasm");
    std::fs::write(&path, component(&workspace().join("plugins/regex-topic"))?)?;
    let broker = Broker::with(Settings {
        config: format!(
            "[[plugin]]\nname = \"regex\"\npath = \"{}\"\nexchange-type = \"x-regex\"\ndeadline = \"5s\"\n",
            path.display()
        ),
        ..Settings::default()
    })?;
    Ok((broker, folder))
}

/// What is written in one piece.
#[derive(Default)]
struct Run {
    bytes: Vec<u8>,
    count: usize,
    /// On each channel.
    published: [u64; CHANNELS.len()],
    /// In each queue.
    expected: [Vec<String>; 3],
}

impl Run {
    /// Adds a publish. Some have headers, are mandatory, large, or on the other channel, so that runs of publishes that are alike begin
    /// and end everywhere.
    fn publish(&mut self, client: &Client, place: usize, key: &str) -> anyhow::Result<()> {
        self.count += 1;
        let every = |number: usize| self.count.is_multiple_of(number);
        let channel = usize::from(every(11));
        let mut body = format!("{} {key}", self.count);
        if every(17) {
            body.push_str(&" ".repeat(5000));
        }
        let publish = basic::Publish {
            exchange: ExchangeName::new(EXCHANGES[place].0)?,
            routing_key: RoutingKey::new(key)?,
            mandatory: every(5),
            ..basic::Publish::default()
        };
        let properties = BasicProperties {
            headers: every(7).then(|| table([("a", "b".into())])),
            ..BasicProperties::default()
        };
        let number = CHANNELS[channel];
        let bytes = &mut self.bytes;
        client.write_publish(number, &publish, &properties, body.as_bytes(), bytes);
        self.published[channel] += 1;
        self.expected[place].push(body);
        Ok(())
    }
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
