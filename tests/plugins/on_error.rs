//! What becomes of messages to which a plugin has no answer: for each `on-error`, and for all others on the way.

use std::time::{Duration, Instant};

use amphora_protocol::wire::table::FieldValue;
use amphora_tests::{Broker, PATIENCE};
use anyhow::ensure;

use crate::channel::{Channel, none};
use crate::exchange::table;
use crate::on_the_way::{Plugin, RETRIED, broker, delay, request};

const REJECTS: Plugin = (
    "rejects",
    "content-router",
    "exchange-type = \"x-rejects\"\non-error = \"reject\"",
);
const DROPS: Plugin = (
    "drops",
    "content-router",
    "exchange-type = \"x-drops\"\non-error = \"drop\"",
);
const BURIES: Plugin = (
    "buries",
    "content-router",
    "exchange-type = \"x-buries\"\non-error = \"dead-letter\"\ndead-letter-exchange = \"\"\ndead-letter-routing-key = \"dead\"",
);
const TURNS: Plugin = (
    "turns",
    "content-router",
    "exchange-type = \"x-turns\"\non-error = \"alternate-exchange\"",
);
/// Its dead letters have nowhere to go.
const LOSES: Plugin = (
    "loses",
    "content-router",
    "exchange-type = \"x-loses\"\non-error = \"dead-letter\"\ndead-letter-exchange = \"misspelled\"",
);
const ALL: [Plugin; 4] = [REJECTS, DROPS, BURIES, TURNS];

fn unload(broker: &Broker, plugin: Plugin) -> anyhow::Result<()> {
    let path = format!("/plugins/{}?force=true", plugin.0);
    request(broker, "DELETE", &path, "").map(drop)
}

fn load(broker: &Broker, plugin: Plugin) -> anyhow::Result<()> {
    request(broker, "POST", &format!("/plugins/{}/load", plugin.0), "").map(drop)
}

/// An exchange of each plugin with a queue, named like it, and the queues that a message may come to when the plugin fails.
fn set_up(channel: &mut Channel, plugins: &[Plugin]) -> anyhow::Result<()> {
    channel.exchange("alternate", "fanout", none())?;
    for queue in ["dead", "elsewhere"] {
        channel.queue(queue, none())?;
    }
    channel.bind("elsewhere", "alternate")?;
    for (name, ..) in plugins {
        let alternate = table([("alternate-exchange", "alternate".into())]);
        channel.exchange(name, &format!("x-{name}"), alternate)?;
        channel.queue(name, none())?;
        channel.bind(name, name)?;
    }
    Ok(())
}

/// What each mode does with a message, and whether its publisher gets a confirm.
fn check(channel: &mut Channel, exchange: &str, mode: &str) -> anyhow::Result<()> {
    let confirmed = channel.publish((exchange, "k"), none(), mode)?;
    ensure!(confirmed == (mode != "rejects"), "{mode}: {confirmed}");
    for (queue, only) in [("dead", "buries"), ("elsewhere", "turns")] {
        let expected = if mode == only { vec![mode] } else { vec![] };
        let taken = channel.take(queue)?;
        ensure!(taken == expected, "{mode}: {queue} has {taken:?}");
    }
    ensure!(channel.ready(mode)? == 0, "{mode} routes, and is not there");
    Ok(())
}

#[test]
fn each_mode_does_what_it_says() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&ALL)?;
    let mut channel = Channel::open(&broker)?;
    set_up(&mut channel, &ALL)?;
    for plugin in ALL {
        unload(&broker, plugin)?;
        check(&mut channel, plugin.0, plugin.0)?;
    }
    Ok(())
}

#[test]
fn an_exchange_that_fails_behind_another_takes_nothing_from_the_others() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&ALL)?;
    let mut channel = Channel::open(&broker)?;
    set_up(&mut channel, &ALL)?;
    // By itself, and with a second routing key and through the headers, which are other ways.
    for kind in ["fanout", "headers"] {
        for plugin in ALL {
            let (front, beside) = (format!("{kind}-{}", plugin.0), format!("by-{kind}"));
            channel.exchange(&front, kind, none())?;
            channel.queue(&beside, none())?;
            channel.bind(&beside, &front)?;
            channel.chain(&front, plugin.0)?;
            unload(&broker, plugin)?;
            check(&mut channel, &front, plugin.0)?;
            assert_eq!(channel.take(&beside)?, [plugin.0], "{kind}");
            let copies = table([("CC", FieldValue::Array(vec!["more".into()]))]);
            let confirmed = channel.publish((&front, "k"), copies, "copied")?;
            assert_eq!(confirmed, plugin != REJECTS);
            assert_eq!(channel.take(&beside)?, ["copied"], "{}", plugin.0);
            for queue in ["dead", "elsewhere"] {
                channel.take(queue)?;
            }
            load(&broker, plugin)?;
        }
    }
    Ok(())
}

#[test]
fn a_delayed_message_comes_to_the_others_and_waits_for_the_one_that_fails() -> anyhow::Result<()> {
    let (broker, _folder) = broker(&[REJECTS, BURIES])?;
    let mut channel = Channel::open(&broker)?;
    set_up(&mut channel, &[REJECTS, BURIES])?;
    let fanout = table([("x-delayed-type", "fanout".into())]);
    channel.exchange("late", "x-delayed-message", fanout)?;
    channel.queue("beside", none())?;
    channel.bind("beside", "late")?;
    for plugin in [REJECTS, BURIES] {
        channel.chain("late", plugin.0)?;
        unload(&broker, plugin)?;
    }
    ensure!(channel.publish(("late", "k"), delay(100), "one")?);
    for queue in ["beside", "dead"] {
        channel.wait_for(queue, 1)?;
    }
    // It is tried again for one of them, and for no other.
    std::thread::sleep(RETRIED);
    assert_eq!(channel.take("beside")?, ["one"]);
    assert_eq!(channel.take("dead")?, ["one"]);
    for plugin in [REJECTS, BURIES] {
        assert_eq!(channel.ready(plugin.0)?, 0);
        load(&broker, plugin)?;
    }
    assert_eq!(channel.one("rejects")?, "one");
    std::thread::sleep(RETRIED);
    for queue in ["rejects", "buries", "beside", "dead"] {
        assert_eq!(channel.ready(queue)?, 0, "{queue}");
    }
    Ok(())
}

#[test]
fn dead_letters_wait_for_a_full_queue_and_those_that_lead_nowhere_are_counted() -> anyhow::Result<()>
{
    let (broker, _folder) = broker(&[BURIES, LOSES])?;
    let mut channel = Channel::open(&broker)?;
    let small = [
        ("x-max-length", FieldValue::I32(1)),
        ("x-overflow", "reject-publish".into()),
    ];
    channel.queue("dead", table(small))?;
    for plugin in [BURIES, LOSES] {
        channel.exchange(plugin.0, &format!("x-{}", plugin.0), none())?;
        unload(&broker, plugin)?;
    }
    for body in ["first", "second"] {
        ensure!(channel.publish(("buries", "k"), none(), body)?);
        ensure!(channel.publish(("loses", "k"), none(), body)?);
    }
    channel.wait_for("dead", 1)?;
    std::thread::sleep(RETRIED);
    assert_eq!(channel.ready("dead")?, 1);
    assert_eq!(channel.first("dead")?, "first");
    assert_eq!(channel.one("dead")?, "second");
    let lost = |plugin: Plugin| {
        let told = request(&broker, "GET", &format!("/plugins/{}", plugin.0), "")?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        anyhow::Ok(told["lost_dead_letters"].clone())
    };
    let begun = Instant::now();
    while lost(LOSES)? != 2 {
        ensure!(begun.elapsed() < PATIENCE, "{} are lost", lost(LOSES)?);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(lost(BURIES)?, 0);
    Ok(())
}

#[test]
fn an_exchange_whose_plugin_is_not_there_at_the_start_heals_when_its_file_comes()
-> anyhow::Result<()> {
    let (mut broker, folder) = broker(&[REJECTS])?;
    let mut channel = Channel::open(&broker)?;
    channel.queue("q", none())?;
    let exchange = r#"{"type":"x-rejects","durable":true}"#;
    request(&broker, "PUT", "/exchanges/%2F/x", exchange)?;
    channel.bind("q", "x")?;
    ensure!(channel.publish(("x", "k"), none(), "before")?);
    let (file, aside) = (
        folder.path().join("rejects.wasm"),
        folder.path().join("aside"),
    );
    std::fs::rename(&file, &aside)?;
    broker.restart()?;
    let mut channel = Channel::open(&broker)?;
    ensure!(!channel.publish(("x", "k"), none(), "without")?);
    std::fs::rename(&aside, &file)?;
    broker.logged("loaded a plugin")?;
    ensure!(channel.publish(("x", "k"), none(), "after")?);
    assert_eq!(channel.take("q")?, ["before", "after"]);
    Ok(())
}
