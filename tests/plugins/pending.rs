//! Messages with an id whose first one is with a plugin: what becomes of that one decides about them.

use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use amphora_tests::Broker;
use anyhow::{anyhow, ensure};

use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::harmful::{broker, component_file};

/// How long a plugin may take for one message.
const DEADLINE: &str = "deadline = \"1s\"";
/// It has the first message then.
const LEAD: Duration = Duration::from_millis(400);

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
        Ok(Self { first, second })
    }

    /// Publishes both, and says which of them were confirmed.
    fn publish(&mut self, first: &str, second: &str) -> anyhow::Result<(bool, bool)> {
        let Self {
            first: one,
            second: other,
        } = self;
        std::thread::scope(|scope| {
            let one = aside(scope, one, first);
            std::thread::sleep(LEAD);
            let other = publish(other, second, "second");
            let one = one.join().map_err(|_| anyhow!("a client panicked"))?;
            Ok((one?, other?))
        })
    }
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
    let confirmed = publishers.publish("loop.0", "pass.0")?;
    ensure!(confirmed == (false, true), "{confirmed:?}");
    ensure!(publishers.first.take("q")? == ["second"]);
    // And now there is one that was seen.
    let confirmed = publishers.publish("loop.0", "pass.0")?;
    ensure!(confirmed == (true, true), "{confirmed:?}");
    ensure!(publishers.first.take("q")?.is_empty());
    Ok(())
}

#[test]
fn two_with_the_same_id_that_fail_are_both_refused() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), DEADLINE)?;
    let mut publishers = Publishers::connect(&broker)?;
    let begun = Instant::now();
    let confirmed = publishers.publish("loop.0", "loop.0")?;
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
    let broker = broker(path.path(), "deadline = \"5s\"")?;
    let mut publishers = Publishers::connect(&broker)?;
    // Some seconds at most, and more than the lead.
    let confirmed = publishers.publish("spin.2000000", "pass.0")?;
    ensure!(confirmed == (true, true), "{confirmed:?}");
    ensure!(publishers.first.take("q")? == ["first"]);
    Ok(())
}
