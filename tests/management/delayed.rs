//! Messages that wait: seen, counted and cancelled by HTTP.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldValue;
use amphora_protocol::wire::types::{ExchangeName, RoutingKey, ShortString};
use amphora_tests::{Broker, PATIENCE};
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::api::Api;

/// An hour, in milliseconds.
const LONG: i64 = 3_600_000;

/// Messages that are too large for many of them to be in memory at the same time: 384 MiB.
const LARGE_MESSAGES: u64 = 96;
const LARGE_BODY: usize = 4 << 20;
/// How much later they are due, which has to be longer than it takes to publish them: on a slow machine, the first is not.
const LARGE_LEADS: [Duration; 3] = [
    Duration::from_secs(12),
    Duration::from_secs(40),
    Duration::from_mins(2),
];

const LOOK_BEFORE: Duration = Duration::from_millis(500);

/// What the broker may have more of while they are released: what is read ahead, and a portion of what is due, in each place on its way.
const RISE_MAX: u64 = 192 << 20;

fn publish(api: &Api, key: &str, delay: i64) -> anyhow::Result<()> {
    let message = json!({
        "routing_key": key,
        "properties": { "headers": { "x-delay": delay, "n": 1 } },
        "payload": format!("the message {key}"),
        "payload_encoding": "string",
    });
    let answer = api.run("POST", "/exchanges/%2F/later/publish", &message)?;
    ensure!(answer == json!({ "routed": true }), "{answer}");
    Ok(())
}

/// Asks until the answer holds: what waits is noted by a task of its own.
fn eventually(api: &Api, path: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let answer = api.get(path)?;
        if holds(&answer) {
            return Ok(answer);
        }
        ensure!(begun.elapsed() < PATIENCE, "{path}: {answer}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn waiting(api: &Api, count: usize) -> anyhow::Result<Vec<Value>> {
    let all = eventually(api, "/delayed/%2F", |all| all["total_count"] == count)?;
    Ok(all["items"].as_array().cloned().unwrap_or_default())
}

#[test]
fn what_waits_is_listed_counted_and_cancelled_also_after_a_restart() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let api = Api::of(&broker)?;
    assert_eq!(api.get("/delayed/%2F")?["total_count"], 0);
    let exchange = json!({
        "type": "x-delayed-message",
        "durable": true,
        "arguments": { "x-delayed-type": "direct" },
    });
    api.run("PUT", "/exchanges/%2F/later", &exchange)?;
    api.run("PUT", "/queues/%2F/q", &json!({ "durable": true }))?;
    let binding = json!({ "routing_key": "third" });
    api.run("POST", "/bindings/%2F/e/later/q/q", &binding)?;
    // No timer reaches that far.
    publish(&api, "last", 100_000 * LONG)?;
    publish(&api, "second", 2 * LONG)?;
    publish(&api, "first", LONG)?;
    for restarted in [false, true] {
        if restarted {
            broker.restart()?;
        }
        let api = Api::of(&broker)?;
        let items = waiting(&api, 3)?;
        let keys = items.iter().map(|item| &item["routing_key"]);
        assert_eq!(keys.collect::<Vec<_>>(), ["first", "second", "last"]);
        let first = &items[0];
        assert_eq!(first["payload"], "the message first");
        assert_eq!(first["exchange"], "later");
        let headers = json!({ "x-delay": -LONG, "n": 1 });
        assert_eq!(first["properties"]["headers"], headers);
        let page = api.get("/delayed/%2F?page=2&page_size=2&truncate=3")?;
        assert_eq!(page["page_count"], 2);
        assert_eq!(page["items"][0]["payload"], "the");
        eventually(&api, "/exchanges/%2F/later", |exchange| {
            exchange["messages_delayed"] == 3
        })?;
    }
    let api = Api::of(&broker)?;
    let id = waiting(&api, 3)?[1]["id"].clone();
    let path = format!("/delayed/%2F/{}", id.as_str().unwrap_or_default());
    api.run("DELETE", &path, &Value::Null)?;
    assert_eq!(api.call("DELETE", &path, &Value::Null)?.0, 404);
    assert_eq!(api.call("DELETE", "/delayed/%2F/7", &Value::Null)?.0, 400);
    assert_eq!(waiting(&api, 2)?.len(), 2);
    let exchange = api.get("/exchanges/%2F/later")?;
    assert_eq!(exchange["messages_delayed"], 2);
    broker.restart()?;

    let api = Api::of(&broker)?;
    waiting(&api, 2)?;
    let cancelled = api.run("DELETE", "/delayed/%2F", &Value::Null)?;
    assert_eq!(cancelled, json!({ "cancelled": 2 }));
    assert_eq!(waiting(&api, 0)?.len(), 0);
    // It goes on from here as if nothing had been.
    publish(&api, "third", 50)?;
    eventually(&api, "/queues/%2F/q", |queue| queue["messages_ready"] == 1)?;
    assert_eq!(waiting(&api, 0)?.len(), 0);
    Ok(())
}

/// A line of the process's status, in bytes.
fn memory(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no such line")?.trim().parse::<u64>()? << 10)
}

/// Publishes large messages that are due at the same moment, where nobody is bound, so that they are in no queue afterwards.
fn publish_large(broker: &Broker, due: Instant) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    client.call(1, &confirm::Select { no_wait: false })?;
    let publish = basic::Publish {
        exchange: ExchangeName::new("later")?,
        routing_key: RoutingKey::new("nowhere")?,
        ..basic::Publish::default()
    };
    for _ in 0..LARGE_MESSAGES {
        let left = due.saturating_duration_since(Instant::now()).as_millis();
        let delay = FieldValue::I64(i64::try_from(left)?);
        let properties = BasicProperties {
            headers: Some(
                [(ShortString::new("x-delay")?, delay)]
                    .into_iter()
                    .collect(),
            ),
            delivery_mode: Some(2),
            ..BasicProperties::default()
        };
        client.publish(1, &publish, &properties, &vec![b'x'; LARGE_BODY])?;
    }
    loop {
        match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) if ack.delivery_tag.0 == LARGE_MESSAGES => {
                return Ok(());
            }
            Method::Basic(basic::Method::Ack(_)) => {}
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
}

#[test]
fn large_messages_are_read_back_in_portions() -> anyhow::Result<()> {
    for lead in LARGE_LEADS {
        if read_back_in_portions(lead)? {
            return Ok(());
        }
    }
    bail!("the messages are due before they are published")
}

/// Returns whether all of them were published before they were due.
#[expect(clippy::print_stdout, reason = "shown when somebody measures")]
fn read_back_in_portions(lead: Duration) -> anyhow::Result<bool> {
    let broker = Broker::start()?;
    let api = Api::of(&broker)?;
    let exchange = json!({
        "type": "x-delayed-message",
        "durable": true,
        "arguments": { "x-delayed-type": "direct" },
    });
    api.run("PUT", "/exchanges/%2F/later", &exchange)?;
    let due = Instant::now() + lead;
    publish_large(&broker, due)?;
    let messages = usize::try_from(LARGE_MESSAGES)?;
    let items = if Instant::now() < due {
        let all = eventually(&api, "/delayed/%2F", |all| {
            all["total_count"] == messages || Instant::now() >= due
        })?;
        all["items"].as_array().cloned().unwrap_or_default()
    } else {
        Vec::new()
    };
    // What is read ahead, and what memory there is meanwhile, is looked at half a second before.
    if items.len() < messages || Instant::now() + LOOK_BEFORE >= due {
        return Ok(false);
    }
    assert_eq!(items[messages - 1]["payload_bytes"], LARGE_BODY);
    assert_eq!(items[messages - 1]["payload"], "x".repeat(1024));
    // What is read ahead is there by then.
    let left = due.saturating_duration_since(Instant::now());
    std::thread::sleep(left.saturating_sub(LOOK_BEFORE));
    let pid = broker.pid()?;
    let before = memory(pid, "VmRSS:")?;
    // From here on, the peak is counted anew.
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    eventually(&api, "/delayed/%2F?page_size=1", |all| {
        all["total_count"] == 0
    })?;
    let rise = memory(pid, "VmHWM:")?.saturating_sub(before);
    println!("{rise} bytes more than {before}");
    ensure!(rise < RISE_MAX, "{rise} bytes more");
    Ok(true)
}
