//! What plugins store and give up, as the broker keeps and counts it.

use std::time::{Duration, Instant};

use amphora_protocol::wire::properties::BasicProperties;
use amphora_tests::{Broker, Client, PATIENCE};
use anyhow::{Context, ensure};

use crate::channel::{Channel, none};
use crate::harmful::{answers, broker, component_file, connect, publish};

/// A thread stores something, and its messages wait for a slow one behind them. Another one stores something else under the same key meanwhile, and is
/// done first: what was stored last is what is there after a restart.
#[test]
fn what_is_stored_last_is_there_after_a_restart() -> anyhow::Result<()> {
    let path = component_file()?;
    let mut broker = broker(path.path(), "deadline = \"10s\"")?;
    let mut slow = connect(&broker)?;
    let persistent = BasicProperties {
        delivery_mode: Some(2),
        ..BasicProperties::default()
    };
    let mut bytes = Vec::new();
    for key in ["keep.old", "spin.3000000"] {
        slow.write_publish(1, &publish(key)?, &persistent, b"slow", &mut bytes);
    }
    slow.write(&bytes)?;
    wait_until_kept(&broker, "old")?;
    let mut fast = connect(&broker)?;
    fast.publish(1, &publish("keep.new")?, &persistent, b"fast")?;
    answers(&mut fast, 1)?;
    ensure!(kept(&broker)? == "new");
    ensure!(
        answers(&mut slow, 2)?.is_empty(),
        "the slow one passes, too"
    );
    ensure!(kept(&broker)? == "new");
    drop((slow, fast));
    broker.terminate()?;
    broker.end()?;
    broker.restart()?;
    ensure!(kept(&broker)? == "new", "it is as it was before the end");
    Ok(())
}

fn wait_until_kept(broker: &Broker, text: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    while kept(broker)? != text {
        ensure!(
            begun.elapsed() < PATIENCE,
            "'{text}' is never there, but '{}'",
            kept(broker)?
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// What the plugin says that it has stored.
fn kept(broker: &Broker) -> anyhow::Result<String> {
    let mut client = connect(broker)?;
    client.publish(1, &publish("kept.0")?, &BasicProperties::default(), b"?")?;
    let reason = answers(&mut client, 1)?.pop();
    let reason = reason.context("it is not refused")?;
    let kept = reason.strip_prefix("plugin 'harmful': ");
    Ok(kept.context(reason.clone())?.to_owned())
}

#[test]
fn dead_letters_that_have_nowhere_to_go_are_counted() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), "")?;
    let mut client = connect(&broker)?;
    bury(&mut client, 7)?;
    let plugin = scrape(&broker, "api/plugins/harmful")?;
    ensure!(plugin.contains("\"lost_dead_letters\":7,"), "{plugin}");
    let metrics = scrape(&broker, "metrics")?;
    let line = "amphora_plugin_lost_dead_letters_total{plugin=\"harmful\"} 7\n";
    ensure!(metrics.contains(line), "{metrics}");
    Ok(())
}

#[test]
fn what_a_plugin_publishes_arrives_or_is_counted() -> anyhow::Result<()> {
    let path = component_file()?;
    let broker = broker(path.path(), "")?;
    let mut client = connect(&broker)?;
    let mut channel = Channel::open(&broker)?;
    channel.queue("told", none())?;
    for key in ["tell.nobody", "tell.told"] {
        client.publish(1, &publish(key)?, &BasicProperties::default(), b"!")?;
    }
    let reasons = answers(&mut client, 2)?;
    ensure!(reasons.is_empty(), "{reasons:?}");
    assert_eq!(channel.one("told")?, "told");
    let plugin = scrape(&broker, "api/plugins/harmful")?;
    ensure!(plugin.contains("\"lost_publishes\":1,"), "{plugin}");
    Ok(())
}

fn bury(client: &mut Client, messages: u64) -> anyhow::Result<()> {
    for _ in 0..messages {
        client.publish(1, &publish("bury.0")?, &BasicProperties::default(), b"dead")?;
    }
    let reasons = answers(client, messages)?;
    ensure!(reasons.is_empty(), "{reasons:?}");
    Ok(())
}

fn scrape(broker: &Broker, path: &str) -> anyhow::Result<String> {
    let url = format!("http://{}/{path}", broker.http()?);
    let got = ureq::get(&url).header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=");
    Ok(got.call()?.body_mut().read_to_string()?)
}
