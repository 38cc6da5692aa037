//! Messages with an id whose first one is with a plugin: what becomes of that one decides about them.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, tx};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey};
use amphora_tests::{Broker, PATIENCE};
use anyhow::{Context, anyhow, ensure};

use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::harmful::{broker, component_file};
use crate::operator::{ask, shown};

/// How long a plugin may take for one message.
const DEADLINE: &str = "deadline = \"1s\"";
/// It may take longer than [`SPIN`] does on any machine.
const LONG_DEADLINE: &str = "deadline = \"10s\"";
/// Keeps the plugin for some seconds at most, and for longer than it takes to publish the next message.
const SPIN: &str = "spin.2000000";
/// More than one message takes to be on the disk.
const A_WHILE: Duration = Duration::from_millis(400);

/// Who publishes the first message, whose plugin takes long, and who publishes one with the same id meanwhile.
struct Publishers {
    first: Channel,
    second: Channel,
}

impl Publishers {
    /// With an exchange `x` that takes each id once and has the plugin look at each message, and a queue `q` for all of them.
    fn connect(broker: &Broker) -> anyhow::Result<Self> {
        let (mut first, second) = (Channel::open(broker)?, Channel::open(broker)?);
        let once = [
            ("x-message-deduplication", true.into()),
            ("x-transform", "harmful".into()),
        ];
        first.exchange("x", "fanout", table(once))?;
        first.queue("q", none())?;
        first.bind("q", "x")?;
        ensure!(instances(broker)? == 0, "the plugin was called already");
        Ok(Self { first, second })
    }

    /// Publishes both, the second one while the plugin has the first, and says which of them were confirmed.
    fn publish(
        &mut self,
        broker: &Broker,
        first: &str,
        second: &str,
    ) -> anyhow::Result<(bool, bool)> {
        let Self {
            first: one,
            second: other,
        } = self;
        std::thread::scope(|scope| {
            let one = aside(scope, one, first);
            called(broker)?;
            let other = publish(other, second, "second");
            let one = one.join().map_err(|_| anyhow!("a client panicked"))?;
            Ok((one?, other?))
        })
    }
}

/// Waits until the plugin has a message for the first time, or after it failed: there is no instance of it before.
fn called(broker: &Broker) -> anyhow::Result<()> {
    let begun = Instant::now();
    while instances(broker)? == 0 {
        ensure!(begun.elapsed() < PATIENCE, "the plugin is not called");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn instances(broker: &Broker) -> anyhow::Result<u64> {
    let shown = shown(broker, "harmful")?;
    shown["instances"].as_u64().context("no count")
}

fn aside<'scope>(
    scope: &'scope Scope<'scope, '_>,
    channel: &'scope mut Channel,
    key: &'scope str,
) -> ScopedJoinHandle<'scope, anyhow::Result<bool>> {
    scope.spawn(move || publish(channel, key, "first"))
}

fn publish(channel: &mut Channel, key: &str, body: &str) -> anyhow::Result<bool> {
    let id = table([("x-deduplication-header", "1".into())]);
    channel.publish(("x", key), id, body)
}

#[test]
fn a_message_takes_the_place_of_one_with_its_id_that_fails() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), DEADLINE)?;
    let mut publishers = Publishers::connect(&broker)?;
    let confirmed = publishers.publish(&broker, "loop.0", "pass.0")?;
    ensure!(confirmed == (false, true), "{confirmed:?}");
    ensure!(publishers.first.take("q")? == ["second"]);
    // And now there is one that was seen.
    ensure!(publish(&mut publishers.first, "loop.0", "first")?);
    ensure!(publish(&mut publishers.second, "pass.0", "second")?);
    ensure!(publishers.first.take("q")?.is_empty());
    Ok(())
}

#[test]
fn two_with_the_same_id_that_fail_are_both_refused() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), DEADLINE)?;
    let mut publishers = Publishers::connect(&broker)?;
    let begun = Instant::now();
    let confirmed = publishers.publish(&broker, "loop.0", "loop.0")?;
    ensure!(confirmed == (false, false), "{confirmed:?}");
    // One after the other: the plugin saw both.
    let took = begun.elapsed();
    ensure!(took > Duration::from_millis(1700), "{took:?}");
    ensure!(publishers.first.take("q")?.is_empty());
    Ok(())
}

#[test]
fn a_duplicate_is_confirmed_when_the_first_one_is() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), LONG_DEADLINE)?;
    let mut publishers = Publishers::connect(&broker)?;
    let confirmed = publishers.publish(&broker, SPIN, "pass.0")?;
    ensure!(confirmed == (true, true), "{confirmed:?}");
    ensure!(publishers.first.take("q")? == ["first"]);
    Ok(())
}

/// A transaction of three messages: into queue `r`, to the exchange that takes each id once, and into `r` again. It is committed on channel 2, and
/// its answer is to come.
fn commit_three(channel: &mut Channel, key: &str) -> anyhow::Result<()> {
    const CHANNEL: u16 = 2;
    let client = channel.client();
    client.open(CHANNEL)?;
    client.call(CHANNEL, &tx::Select {})?;
    let id = table([("x-deduplication-header", "1".into())]);
    for (exchange, key, headers, body) in [
        ("", "r", none(), "before"),
        ("x", key, id, "second"),
        ("", "r", none(), "behind"),
    ] {
        let publish = basic::Publish {
            exchange: ExchangeName::new(exchange)?,
            routing_key: RoutingKey::new(key)?,
            ..basic::Publish::default()
        };
        let properties = BasicProperties {
            headers: Some(headers),
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        client.publish(CHANNEL, &publish, &properties, body.as_bytes())?;
    }
    client.send(CHANNEL, &tx::Commit {})
}

#[test]
fn a_transaction_that_waits_for_an_id_is_whole_after_a_crash() -> anyhow::Result<()> {
    let path = component_file()?;
    let mut broker = broker(path.path(), LONG_DEADLINE)?;
    let Publishers {
        mut first,
        mut second,
    } = Publishers::connect(&broker)?;
    second.queue("r", none())?;
    std::thread::scope(|scope| {
        let first = aside(scope, &mut first, "loop.0");
        called(&broker)?;
        commit_three(&mut second, "pass.0")?;
        // What could become durable does so meanwhile.
        std::thread::sleep(A_WHILE);
        broker.kill()?;
        // It was cut off.
        let _ = first.join();
        anyhow::Ok(())
    })?;
    broker.restart()?;
    let mut channel = Channel::open(&broker)?;
    ensure!(channel.take("r")?.is_empty(), "half a transaction is there");
    ensure!(channel.take("q")?.is_empty());
    Ok(())
}

#[test]
fn a_transaction_waits_for_an_id_and_is_decided_as_a_whole() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), DEADLINE)?;
    let Publishers {
        mut first,
        mut second,
    } = Publishers::connect(&broker)?;
    second.queue("r", none())?;
    // The first time, it takes the place of one that fails; then it is a duplicate of its own.
    for expected in [vec!["second"], vec![]] {
        std::thread::scope(|scope| {
            let first = aside(scope, &mut first, "loop.0");
            // The second time, it is a duplicate, which the plugin does not see.
            if !expected.is_empty() {
                called(&broker)?;
            }
            let mut second = Channel::open(&broker)?;
            commit_three(&mut second, "pass.0")?;
            let answer = second.client().method(2)?;
            ensure!(
                matches!(answer, Method::Tx(tx::Method::CommitOk(_))),
                "{answer:?}"
            );
            first.join().map_err(|_| anyhow!("a client panicked"))??;
            anyhow::Ok(())
        })?;
        ensure!(second.take("q")? == expected);
        ensure!(second.take("r")? == ["before", "behind"]);
    }
    Ok(())
}

/// Moves all of queue `s` to the exchange while the first message is with the plugin. Returns what the API answers.
fn moved(broker: &Broker, first: &mut Channel, key: &str) -> anyhow::Result<String> {
    let id = table([("x-deduplication-header", "1".into())]);
    ensure!(first.publish(("", "s"), id, "moved")?);
    ensure!(first.publish(("", "s"), none(), "without an id")?);
    std::thread::scope(|scope| {
        let first = aside(scope, first, key);
        called(broker)?;
        let path = "/queues/%2F/s/move";
        let to = br#"{"exchange":"x","routing_key":"pass.0"}"#;
        let (status, answer) = ask(broker, "POST", path, to)?;
        ensure!(status == 200, "{status}: {answer}");
        first.join().map_err(|_| anyhow!("a client panicked"))??;
        Ok(answer)
    })
}

#[test]
fn what_is_moved_waits_for_its_id_as_what_is_published_does() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), DEADLINE)?;
    let mut first = Publishers::connect(&broker)?.first;
    first.queue("s", none())?;
    let answer = moved(&broker, &mut first, "loop.0")?;
    ensure!(answer.contains("\"moved\":2"), "{answer}");
    ensure!(first.take("q")? == ["moved", "without an id"]);
    ensure!(first.take("s")?.is_empty());
    Ok(())
}

#[test]
fn what_is_moved_is_a_duplicate_if_the_first_one_arrives() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), LONG_DEADLINE)?;
    let mut first = Publishers::connect(&broker)?.first;
    first.queue("s", none())?;
    let answer = moved(&broker, &mut first, SPIN)?;
    ensure!(answer.contains("\"moved\":2"), "{answer}");
    ensure!(first.take("q")? == ["first", "without an id"]);
    ensure!(first.take("s")?.is_empty());
    Ok(())
}
