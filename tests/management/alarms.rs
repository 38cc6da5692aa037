//! Memory and disk that run short: publishers are told and stop, consumers go on, and when there is enough again nothing was lost.

use std::time::{Duration, Instant};

use amphora_protocol::wire::method::connection::{self, Blocked};
use amphora_protocol::wire::method::{Method, basic, confirm, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{QueueName, ShortString};
use amphora_tests::{Broker, Client, PATIENCE, Settings};
use anyhow::{bail, ensure};
use serde_json::{Value, json};

use crate::api::Api;

/// Messages before the alarm, and those that are sent while it is on.
const BEFORE: u32 = 20;
const MEANWHILE: u32 = 30;

/// One of the alarms.
struct Shortage {
    /// The configuration that sets it off.
    config: String,
    /// The column of `/api/nodes`, and the name of the resource in health checks.
    column: &'static str,
    resource: &'static str,
    metric: &'static str,
    /// What publishers are told.
    reason: &'static str,
    /// What the log says when it begins and ends.
    logged: [&'static str; 2],
}

fn declare(client: &mut Client) -> anyhow::Result<u32> {
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        durable: true,
        ..queue::Declare::default()
    };
    match client.call(1, &declare)? {
        Method::Queue(queue::Method::DeclareOk(declared)) => Ok(declared.message_count),
        other => bail!("{other:?}"),
    }
}

/// Reads confirms until so many messages are confirmed; what else comes is handed to `other`.
fn confirmed(
    client: &mut Client,
    count: u32,
    mut other: impl FnMut(&Method) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut tag = 0;
    while tag < u64::from(count) {
        match client.beyond_heartbeats()? {
            amphora_tests::Received::Method(1, Method::Basic(basic::Method::Ack(ack))) => {
                tag = ack.delivery_tag.0;
            }
            amphora_tests::Received::Method(_, method) => other(&method)?,
            received => bail!("{received:?} where a confirm belongs"),
        }
    }
    Ok(())
}

/// Takes all messages out of the queue, and returns what is in them.
fn drain(client: &mut Client) -> anyhow::Result<Vec<String>> {
    let get = basic::Get {
        queue: QueueName::new("q")?,
        no_ack: false,
    };
    let mut bodies = Vec::new();
    loop {
        match client.call(1, &get)? {
            Method::Basic(basic::Method::GetOk(got)) => {
                let tag = got.delivery_tag;
                let message = client.rest_of_message(1, basic::Method::GetOk(got))?;
                bodies.push(String::from_utf8(message.body)?);
                let ack = basic::Ack {
                    delivery_tag: tag,
                    multiple: false,
                };
                client.send(1, &ack)?;
            }
            Method::Basic(basic::Method::GetEmpty(_)) => return Ok(bodies),
            other => bail!("{other:?}"),
        }
    }
}

fn is_set(api: &Api, broker: &Broker, shortage: &Shortage, on: bool) -> anyhow::Result<()> {
    let nodes = api.get("/nodes")?;
    assert_eq!(nodes[0][shortage.column], on, "{nodes:#}");
    let overview = api.get("/overview")?;
    let resources: Vec<&Value> = overview["alarms"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|alarm| &alarm["resource"])
        .collect();
    assert_eq!(resources.contains(&&json!(shortage.resource)), on);
    for check in ["alarms", "local-alarms"] {
        let (status, answer) = api.call("GET", &format!("/health/checks/{check}"), &Value::Null)?;
        assert_eq!(status, if on { 503 } else { 200 }, "{answer}");
    }
    let mut metrics = ureq::get(format!("http://{}/metrics", broker.http()?)).call()?;
    let metrics = metrics.body_mut().read_to_string()?;
    let expected = format!("{} {}", shortage.metric, u8::from(on));
    assert!(
        metrics.lines().any(|line| line == expected),
        "{expected} in {metrics}"
    );
    Ok(())
}

fn drive(broker: &mut Broker, shortage: &Shortage) -> anyhow::Result<()> {
    let api = Api::of(broker)?;
    let mut publisher = broker.connect()?;
    publisher.open(1)?;
    declare(&mut publisher)?;
    publisher.call(1, &confirm::Select { no_wait: false })?;
    for number in 0..BEFORE {
        publisher.publish_to(1, "q", number.to_string().as_bytes())?;
    }
    confirmed(&mut publisher, BEFORE, |method| bail!("{method:?}"))?;
    is_set(&api, broker, shortage, false)?;

    broker.configure(&shortage.config)?;
    broker.hang_up()?;
    broker.logged("changed the limits")?;
    for number in BEFORE..BEFORE + MEANWHILE {
        publisher.publish_to(1, "q", number.to_string().as_bytes())?;
    }
    let blocked = loop {
        match publisher.beyond_heartbeats()? {
            amphora_tests::Received::Method(0, method) => break method,
            amphora_tests::Received::Method(1, Method::Basic(basic::Method::Ack(_))) => {}
            received => bail!("{received:?} where connection.blocked belongs"),
        }
    };
    let reason = ShortString::cut(shortage.reason);
    let expected = Method::Connection(connection::Method::Blocked(Blocked { reason }));
    assert_eq!(blocked, expected);
    is_set(&api, broker, shortage, true)?;
    broker.logged(shortage.logged[0])?;
    let connections = api.get("/connections")?;
    assert_eq!(connections[0]["state"], "blocked", "{connections:#}");
    let path = "/exchanges/%2F/amq.default/publish";
    let message = json!({ "routing_key": "q", "payload": "", "payload_encoding": "string", "properties": {} });
    let (status, answer) = api.call("POST", path, &message)?;
    assert_eq!(status, 400, "{answer}");
    let told = answer["reason"].as_str().unwrap_or_default();
    assert!(told.contains(shortage.reason), "{told}");

    // Others go on: what is there can be drained, and what the publisher sends meanwhile is not even read.
    let mut consumer = broker.connect()?;
    consumer.open(1)?;
    let mut received = drain(&mut consumer)?;
    ensure!(
        received.len() >= BEFORE as usize,
        "{} messages",
        received.len()
    );
    publisher.publish_to(1, "q", b"last")?;
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(declare(&mut consumer)?, 0);

    broker.configure("# As by default.\n")?;
    broker.hang_up()?;
    let mut told = false;
    confirmed(&mut publisher, BEFORE + MEANWHILE + 1, |method| {
        told |= matches!(method, Method::Connection(connection::Method::Unblocked(_)));
        Ok(())
    })?;
    assert!(
        told,
        "connection.unblocked comes before the confirms of what waited"
    );
    broker.logged(shortage.logged[1])?;
    is_set(&api, broker, shortage, false)?;
    received.extend(drain(&mut consumer)?);
    let expected = (0..BEFORE + MEANWHILE).map(|number| number.to_string());
    let expected: Vec<String> = expected.chain(["last".to_owned()]).collect();
    assert_eq!(received, expected);
    Ok(())
}

#[test]
fn short_memory_blocks_publishers_and_loses_nothing() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let shortage = Shortage {
        config: "[limits]\nmemory_mark = \"1MiB\"\n".to_owned(),
        column: "mem_alarm",
        resource: "memory",
        metric: "rabbitmq_alarms_memory_used_watermark",
        reason: "low on memory",
        logged: [
            "memory is short: publishers are blocked",
            "memory is free again",
        ],
    };
    drive(&mut broker, &shortage)
}

#[test]
fn a_full_disk_blocks_publishers_and_loses_nothing() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let disk = rustix::fs::statvfs(broker.data_dir())?;
    // What is consumed may use three quarters of the reserve.
    let limit = disk.f_bavail * disk.f_frsize / 2 * 3;
    let shortage = Shortage {
        config: format!("[limits]\ndisk_free_limit = \"{}MiB\"\n", limit >> 20),
        column: "disk_free_alarm",
        resource: "disk",
        metric: "rabbitmq_alarms_free_disk_space_watermark",
        reason: "low on disk",
        logged: [
            "the disk is nearly full: publishers are blocked",
            "the disk has room again",
        ],
    };
    drive(&mut broker, &shortage)
}

/// Bytes of each message, and how many there are, in the test that fills memory for real.
const LARGE: usize = 64 << 10;
const MANY: u32 = 2500;

#[test]
fn memory_that_consumers_free_lets_publishers_go_on_by_themselves() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let used = Api::of(&broker)?.get("/nodes")?[0]["mem_used"]
        .as_u64()
        .unwrap_or_default();
    let mark = (used >> 20) + 48;
    let broker = Broker::with(Settings {
        config: format!("[limits]\nmemory_mark = \"{mark}MiB\"\n"),
        ..Settings::default()
    })?;
    let mut publisher = broker.connect()?;
    publisher.open(1)?;
    declare(&mut publisher)?;
    publisher.call(1, &confirm::Select { no_wait: false })?;
    let mut writer = publisher.second_hand()?;
    let writing = std::thread::spawn(move || {
        let body = vec![7; LARGE];
        for _ in 0..MANY {
            let publish = basic::Publish {
                routing_key: ShortString::cut("q").into(),
                ..basic::Publish::default()
            };
            writer.publish(1, &publish, &BasicProperties::default(), &body)?;
        }
        anyhow::Ok(())
    });
    broker.logged("memory is short: publishers are blocked")?;
    let mut consumer = broker.connect()?;
    consumer.open(1)?;
    let mut received = 0;
    let began = Instant::now();
    while received < MANY as usize && began.elapsed() < 3 * PATIENCE {
        received += drain(&mut consumer)?.len();
    }
    assert_eq!(received, MANY as usize);
    let (mut blocked, mut unblocked) = (0, 0);
    confirmed(&mut publisher, MANY, |method| {
        match method {
            Method::Connection(connection::Method::Blocked(_)) => blocked += 1,
            Method::Connection(connection::Method::Unblocked(_)) => unblocked += 1,
            other => bail!("{other:?}"),
        }
        Ok(())
    })?;
    // The last confirm may come before the last word about memory.
    while unblocked < blocked {
        match publisher.method(0)? {
            Method::Connection(connection::Method::Blocked(_)) => blocked += 1,
            Method::Connection(connection::Method::Unblocked(_)) => unblocked += 1,
            other => bail!("{other:?}"),
        }
    }
    assert!(blocked > 0 && blocked == unblocked, "{blocked} {unblocked}");
    match writing.join() {
        Ok(written) => written,
        Err(_) => bail!("the publisher panicked"),
    }
}
