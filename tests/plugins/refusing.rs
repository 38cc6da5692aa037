//! Messages in random mixes, in one piece and in several, into queues that refuse them: each comes where it belongs, once, and its publisher is
//! told the truth.

use std::collections::{BTreeMap, BTreeSet};

use amphora_protocol::wire::method::{Method, basic};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, RoutingKey, ShortString};
use amphora_tests::{Broker, Settings, workspace};
use anyhow::{Context, bail, ensure};

use crate::built::component;
use crate::channel::{Channel, none};
use crate::exchange::table;

const BURSTS: u32 = 400;
const BURST_MAX: u64 = 40;
/// An hour: nothing comes back while the test runs.
const DELAY: FieldValue = FieldValue::I32(3_600_000);

/// How many messages each queue takes. `buries` has dead letters, which go to `tight`, and `looks` has a transform, which delays.
const SPACE: [(&str, usize); 5] = [
    ("plain", usize::MAX),
    ("small", 3),
    ("tight", 4),
    ("buries", 2),
    ("looks", 3),
];

struct Dice(u64);

impl Dice {
    /// Below `end`.
    fn roll(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

struct Published {
    exchange: &'static str,
    keys: Vec<&'static str>,
    waits: bool,
    mandatory: bool,
    body: String,
}

impl Published {
    fn any(dice: &mut Dice, number: u32) -> Self {
        let padding = match dice.roll(8) {
            0 => 5_000,
            1 => 300,
            _ => 0,
        };
        let names = ["plain", "small", "tight", "buries", "looks", "nowhere"];
        let mut keys = Vec::new();
        for _ in 0..=dice.roll(5).saturating_sub(2) {
            let roll = usize::try_from(dice.roll(6)).unwrap_or_default();
            keys.push(names[roll]);
        }
        if keys.contains(&"buries") {
            // Which of the two comes first is not said anywhere.
            keys.retain(|key| *key != "tight");
        }
        Self {
            exchange: if dice.roll(6) == 0 { "later" } else { "" },
            keys,
            waits: dice.roll(4) == 0,
            mandatory: dice.roll(2) == 0,
            body: format!("{number}{:padding$}", ""),
        }
    }

    fn write(&self, channel: &mut Channel, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
        let publish = basic::Publish {
            exchange: ExchangeName::new(self.exchange)?,
            routing_key: RoutingKey::new(self.keys[0])?,
            mandatory: self.mandatory,
            ..basic::Publish::default()
        };
        let mut headers = FieldTable::new();
        if self.waits {
            headers.insert(ShortString::new("x-delay")?, DELAY);
        }
        if self.keys.len() > 1 {
            let keys = self.keys[1..].iter().map(|key| (*key).into()).collect();
            headers.insert(ShortString::new("CC")?, FieldValue::Array(keys));
        }
        let properties = BasicProperties {
            headers: (!headers.is_empty()).then_some(headers),
            ..BasicProperties::default()
        };
        let body = self.body.as_bytes();
        channel
            .client()
            .write_publish(1, &publish, &properties, body, bytes);
        Ok(())
    }
}

/// What should be where.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    queues: BTreeMap<&'static str, Vec<String>>,
    returned: Vec<String>,
    nacked: BTreeSet<u64>,
    waiting: u64,
}

impl State {
    fn publish(&mut self, published: &Published, tag: u64) {
        let Published {
            waits,
            mandatory,
            body,
            ..
        } = published;
        if published.exchange == "later" && *waits {
            self.waiting += 1;
            return;
        }
        let mut queues = match published.exchange {
            "later" => vec!["plain", "small"],
            _ => published.keys.clone(),
        };
        let mut seen = BTreeSet::new();
        queues.retain(|queue| *queue != "nowhere" && seen.insert(*queue));
        if queues.is_empty() && *mandatory {
            self.returned.push(body.clone());
        }
        for queue in queues {
            if queue == "looks" && *waits {
                self.waiting += 1;
            } else if !self.put(queue, body) {
                self.nacked.insert(tag);
                if queue == "buries" {
                    self.put("tight", body);
                }
            }
        }
    }

    fn put(&mut self, queue: &'static str, body: &str) -> bool {
        let space = SPACE.iter().find(|(name, _)| *name == queue);
        let space = space.map_or(0, |(_, space)| *space);
        let messages = self.queues.entry(queue).or_default();
        let has_space = messages.len() < space;
        if has_space {
            messages.push(body.to_owned());
        }
        has_space
    }
}

fn declare(channel: &mut Channel) -> anyhow::Result<()> {
    for (queue, space) in SPACE {
        let mut arguments = none();
        let mut set = |name, value: FieldValue| {
            arguments.insert(ShortString::cut(name), value);
        };
        if let Ok(space) = i32::try_from(space) {
            set("x-max-length", FieldValue::I32(space));
            set("x-overflow", "reject-publish".into());
        }
        match queue {
            "buries" => {
                set("x-overflow", "reject-publish-dlx".into());
                set("x-dead-letter-exchange", "".into());
                set("x-dead-letter-routing-key", "tight".into());
            }
            "looks" => set("x-transform", "delayed".into()),
            _ => {}
        }
        channel.queue(queue, arguments)?;
    }
    let fanout = table([("x-delayed-type", "fanout".into())]);
    channel.exchange("later", "x-delayed-message", fanout)?;
    channel.bind("plain", "later")?;
    channel.bind("small", "later")
}

/// Reads what the publisher is told, up to the confirm of this tag.
fn answers(channel: &mut Channel, first: u64, last: u64) -> anyhow::Result<State> {
    let mut state = State::default();
    let mut next = first;
    while next <= last {
        let (tag, multiple, acked) = match channel.client().method(1)? {
            Method::Basic(basic::Method::Ack(ack)) => (ack.delivery_tag.0, ack.multiple, true),
            Method::Basic(basic::Method::Nack(nack)) => (nack.delivery_tag.0, nack.multiple, false),
            Method::Basic(method @ basic::Method::Return(_)) => {
                let message = channel.client().rest_of_message(1, method)?;
                state.returned.push(String::from_utf8(message.body)?);
                continue;
            }
            other => bail!("{other:?} where a confirm belongs"),
        };
        ensure!(
            tag == next || multiple && tag > next,
            "{tag} where {next} belongs"
        );
        if !acked {
            state.nacked.extend(next..=tag);
        }
        next = tag + 1;
    }
    Ok(state)
}

/// How many messages wait, when it is known of all.
fn waiting(broker: &Broker, expected: u64) -> anyhow::Result<()> {
    let url = format!("http://{}/api/delayed/%2F", broker.http()?);
    let begun = std::time::Instant::now();
    loop {
        let mut response = ureq::get(&url)
            .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
            .call()?;
        let text = response.body_mut().read_to_string()?;
        let answer: serde_json::Value = serde_json::from_str(&text)?;
        let count = answer["total_count"].as_u64().context("no count")?;
        if count == expected {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < amphora_tests::PATIENCE,
            "{count} messages wait, and should be {expected}"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn what_full_queues_refuse_is_neither_lost_nor_doubled() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("delayed.wasm");
    std::fs::write(&path, component(&workspace().join("plugins/delayed"))?)?;
    let broker = Broker::with(Settings {
        config: format!("[[plugin]]\nname = \"delayed\"\npath = {path:?}\n"),
        ..Settings::default()
    })?;
    let mut channel = Channel::open(&broker)?;
    declare(&mut channel)?;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut tag, mut number, mut all_waiting) = (1, 0, 0);
    for burst in 0..BURSTS {
        let mut expected = State::default();
        let mut bytes = Vec::new();
        let first = tag;
        for _ in 0..=dice.roll(BURST_MAX) {
            number += 1;
            let published = Published::any(&mut dice, number);
            published.write(&mut channel, &mut bytes)?;
            expected.publish(&published, tag);
            tag += 1;
        }
        channel.client().write(&bytes)?;
        let mut heard = answers(&mut channel, first, tag - 1)?;
        for (queue, _) in SPACE {
            let bodies = channel.take(queue)?;
            if !bodies.is_empty() {
                heard.queues.insert(queue, bodies);
            }
        }
        all_waiting += std::mem::take(&mut expected.waiting);
        expected.queues.retain(|_, bodies| !bodies.is_empty());
        assert_eq!(heard, expected, "burst {burst}");
    }
    waiting(&broker, all_waiting)
}
