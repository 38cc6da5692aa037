//! Plugins that do harm: their messages follow `on-error`, and nobody else notices.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Settings, workspace};
use anyhow::bail;

use crate::built::component;

/// Messages to each hostile plugin, and of those beside them in the same time.
const MESSAGES: u64 = 300;
const BESIDE: u32 = 200;
/// Bytes that the broker may have more of afterwards: one instance's memory, and what the test itself makes it hold.
const GROWTH_MAX: u64 = 200 << 20;
/// However slow the machine is: a deadline is 10 ms, and after five of them the plugin is in quarantine.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn an_infinite_loop() -> anyhow::Result<()> {
    does_harm("loop", Fate::Refused)
}

#[test]
fn memory_without_an_end() -> anyhow::Result<()> {
    does_harm("memory", Fate::Refused)
}

#[test]
fn recursion_without_an_end() -> anyhow::Result<()> {
    does_harm("stack", Fate::Refused)
}

#[test]
fn a_panic() -> anyhow::Result<()> {
    does_harm("panic", Fate::Refused)
}

#[test]
fn a_flood_of_log_lines() -> anyhow::Result<()> {
    does_harm("log", Fate::Routed)
}

/// What becomes of all messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Routed,
    Refused,
}

fn does_harm(harm: &str, fate: Fate) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("hostile.wasm");
    std::fs::write(
        &path,
        component(&workspace().join("tests/plugins/hostile"))?,
    )?;
    let mut config = String::new();
    writeln!(
        config,
        "[[plugin]]\nname = \"hostile\"\npath = \"{}\"",
        path.display()
    )?;
    writeln!(
        config,
        "exchange-type = \"x-hostile\"\ngrants = [\"config\", \"log\"]"
    )?;
    if fate == Fate::Routed {
        // A flood is slow on a slow machine, and it is not this that is tested.
        writeln!(config, "deadline = \"5s\"")?;
    }
    writeln!(config, "[plugin.config]\nharm = \"{harm}\"")?;
    let broker = Broker::with(Settings {
        config,
        ..Settings::default()
    })?;
    let (mut victim, mut other) = (broker.connect()?, broker.connect()?);
    for client in [&mut victim, &mut other] {
        client.open(1)?;
    }
    declare(&mut victim)?;
    victim.call(1, &confirm::Select { no_wait: false })?;
    let before = resident(&broker)?;

    std::thread::scope(|scope| {
        let beside = scope.spawn(|| goes_on(&mut other));
        let harmed = publish(&mut victim, fate);
        match beside.join() {
            Ok(beside) => beside.and(harmed),
            Err(_) => bail!("the other client panicked"),
        }
    })?;
    let ready = if fate == Fate::Routed { MESSAGES } else { 0 };
    assert_eq!(u64::from(ready_count(&mut other, "victim")?), ready);
    let grown = resident(&broker)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes more than before");
    Ok(())
}

/// Publishes to the hostile plugin, and sees each publish answered once, as it should be.
fn publish(client: &mut Client, fate: Fate) -> anyhow::Result<()> {
    let publish = basic::Publish {
        exchange: ExchangeName::new("hostile")?,
        routing_key: RoutingKey::new("k")?,
        ..basic::Publish::default()
    };
    let mut bytes = Vec::new();
    for _ in 0..MESSAGES {
        client.write_publish(
            1,
            &publish,
            &BasicProperties::default(),
            b"harm me",
            &mut bytes,
        );
    }
    client.write(&bytes)?;
    let mut answered = 0;
    while answered < MESSAGES {
        let (tag, multiple, accepted) = match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) => (ack.delivery_tag.0, ack.multiple, true),
            Method::Basic(basic::Method::Nack(nack)) => (nack.delivery_tag.0, nack.multiple, false),
            other => bail!("{other:?} where a confirm belongs"),
        };
        assert!(
            tag == answered + 1 || multiple && tag > answered,
            "{tag} after {answered}"
        );
        assert_eq!(accepted, fate == Fate::Routed);
        answered = tag;
    }
    Ok(())
}

/// Another client's messages come and go meanwhile.
fn goes_on(client: &mut Client) -> anyhow::Result<()> {
    let begun = Instant::now();
    client.call(1, &queue_of("beside")?)?;
    let get = basic::Get {
        queue: QueueName::new("beside")?,
        no_ack: true,
    };
    for number in 0..BESIDE {
        client.publish_to(1, "beside", &number.to_be_bytes())?;
        match client.call(1, &get)? {
            Method::Basic(method @ basic::Method::GetOk(_)) => {
                let message = client.rest_of_message(1, method)?;
                assert_eq!(message.body, number.to_be_bytes());
            }
            other => bail!("{other:?}"),
        }
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    Ok(())
}

fn declare(client: &mut Client) -> anyhow::Result<()> {
    client.call(
        1,
        &exchange::Declare {
            exchange: ExchangeName::new("hostile")?,
            kind: ShortString::new("x-hostile")?,
            ..exchange::Declare::default()
        },
    )?;
    client.call(1, &queue_of("victim")?)?;
    let bound = client.call(
        1,
        &queue::Bind {
            queue: QueueName::new("victim")?,
            exchange: ExchangeName::new("hostile")?,
            ..queue::Bind::default()
        },
    )?;
    match bound {
        Method::Queue(queue::Method::BindOk(_)) => Ok(()),
        other => bail!("{other:?}"),
    }
}

fn queue_of(name: &str) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(name)?,
        ..queue::Declare::default()
    })
}

fn ready_count(client: &mut Client, name: &str) -> anyhow::Result<u32> {
    match client.call(1, &queue_of(name)?)? {
        Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count),
        other => bail!("{other:?}"),
    }
}

/// Bytes of memory that the broker has.
fn resident(broker: &Broker) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.unwrap_or_default().parse::<u64>()? << 10)
}
