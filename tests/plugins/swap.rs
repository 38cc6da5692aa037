//! A plugin is replaced while messages flow through it from several connections and its bindings change: none is lost, none comes twice, and each is
//! routed wholly by one version.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, PATIENCE, Settings, workspace};
use anyhow::{Context, bail, ensure};

use crate::built::{component, example};

const EXCHANGE: &str = "swapped";
/// Connections that publish, and the messages a second of all of them, in bursts of a hundredth of that.
const PRODUCERS: u64 = 4;
const RATE: u64 = 20_000;
/// Messages of one connection in a burst.
const BURST: u64 = RATE / PRODUCERS / 100;
/// How long to publish, in seconds; `AMPHORA_SWAP_SECONDS=60` is the long run.
const SECONDS: u64 = 4;
/// How often to swap meanwhile in the short run, and in the long one. A swap that took longer is followed by the next at once.
const SWAP_EVERY: Duration = Duration::from_millis(150);
const SWAP_EVERY_LONG: Duration = Duration::from_millis(500);
/// Swaps and bindings that have to be made meanwhile.
const MADE_MIN: u64 = 4;
/// How often a binding comes and goes meanwhile.
const BIND_EVERY: Duration = Duration::from_millis(20);
/// What the long run has to show: so many swaps a minute, and confirms that take at most so many times as long as without. A
/// shorter wait than this one is noise.
const SWAPS_A_MINUTE: u64 = 100;
const SLOWER_MAX: u32 = 2;
const P99_MIN: Duration = Duration::from_millis(2);

/// The queues that the one version routes to, and those of the other. As a regular expression `k.+` matches the keys and `#` does not; as a pattern
/// of words it is the other way round.
const REGEX_QUEUES: [&str; 2] = ["regex-1", "regex-2"];
const TOPIC_QUEUES: [&str; 2] = ["topic-1", "topic-2"];
/// Keys in rotation.
const KEYS: u64 = 50;
/// A queue whose binding comes and goes. No key matches it.
const NOISE: &str = "noise";

#[test]
fn a_swap_loses_nothing_and_doubles_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let versions = [
        (
            "regex.wasm",
            component(&workspace().join("plugins/regex-topic"))?,
        ),
        ("topic.wasm", example("rust")?),
    ];
    for (name, bytes) in &versions {
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let path = folder.path().join("regex.wasm");
    let broker = Broker::with(Settings {
        config: format!(
            "[[plugin]]\nname = \"swapped\"\npath = {path:?}\nexchange-type = \"x-swapped\"\ngrants = [\"config\"]\n"
        ),
        ..Settings::default()
    })?;
    let mut client = broker.connect()?;
    client.open(1)?;
    declare(&mut client)?;
    let mut producers = (0..PRODUCERS)
        .map(|number| Producer::connect(&broker, number))
        .collect::<Result<Vec<_>, _>>()?;

    let seconds = match std::env::var("AMPHORA_SWAP_SECONDS") {
        Ok(seconds) => seconds.parse()?,
        Err(_) => SECONDS,
    };
    let is_long = seconds > SECONDS;
    let calm = publish_all(&mut producers, Duration::from_secs(seconds.div_ceil(6)))?;
    let done = AtomicBool::new(false);
    let (swaps, bindings) = (AtomicU64::new(0), AtomicU64::new(0));
    let (swapped, ended) = std::thread::scope(|scope| {
        let threads = [
            scope.spawn(|| swap(&broker, &versions, (&done, &swaps), is_long)),
            scope.spawn(|| bind_and_unbind(&broker, (&done, &bindings))),
        ];
        let begun = Instant::now();
        let mut swapped = publish_all(&mut producers, Duration::from_secs(seconds));
        // A machine that is slow needs longer for as many.
        let are_few = || [&swaps, &bindings].map(|made| made.load(Ordering::Relaxed) < MADE_MIN);
        while swapped.is_ok() && are_few() != [false; 2] && begun.elapsed() < 2 * PATIENCE {
            swapped = publish_all(&mut producers, Duration::from_secs(1));
        }
        done.store(true, Ordering::Relaxed);
        (swapped, threads.map(ScopedJoinHandle::join))
    });
    let swapped = swapped?;
    for ended in ended {
        ended.ok().context("a thread panicked")??;
    }
    let (swaps, bindings) = (swaps.into_inner(), bindings.into_inner());
    let published: u64 = producers.iter().map(|producer| producer.published).sum();
    println!(
        "{published} messages, {swaps} swaps, {bindings} bindings; confirms: p99 {calm:?} before, {swapped:?} meanwhile"
    );
    ensure!(
        swaps >= MADE_MIN,
        "{swaps} swaps are too few to say anything"
    );
    ensure!(
        bindings >= MADE_MIN,
        "{bindings} bindings are too few to say anything"
    );
    if is_long {
        let wanted = SWAPS_A_MINUTE * seconds / 60;
        ensure!(swaps >= wanted, "{swaps} swaps, and {wanted} were wanted");
        let allowed = calm.max(P99_MIN) * SLOWER_MAX;
        ensure!(swapped <= allowed, "{swapped:?} is too slow");
    }
    each_was_routed_by_one_version(&mut client, &producers)
}

/// Each message is once in both queues of the one version, or once in both of the other.
fn each_was_routed_by_one_version(
    client: &mut Client,
    producers: &[Producer],
) -> anyhow::Result<()> {
    let mut contents = |queues: [&str; 2]| -> anyhow::Result<[BTreeMap<Vec<u8>, u64>; 2]> {
        Ok([drain(client, queues[0])?, drain(client, queues[1])?])
    };
    let regex = contents(REGEX_QUEUES)?;
    let topic = contents(TOPIC_QUEUES)?;
    ensure!(
        drain(client, NOISE)?.is_empty(),
        "no key matches its binding"
    );
    for queue in regex.iter().chain(&topic) {
        let doubled = queue.iter().find(|(_, times)| **times != 1);
        ensure!(doubled.is_none(), "{doubled:?} times");
    }
    for producer in producers {
        for number in 0..producer.published {
            let body = producer.body(number).to_vec();
            let places = [&regex[0], &regex[1], &topic[0], &topic[1]];
            let found = places.map(|queue| queue.contains_key(&body));
            ensure!(
                found == [true, true, false, false] || found == [false, false, true, true],
                "message {number} of producer {}: {found:?}",
                producer.number
            );
        }
    }
    let published: u64 = producers.iter().map(|producer| producer.published).sum();
    let arrived = (regex[0].len() + topic[0].len()) as u64;
    ensure!(arrived == published, "{arrived} of {published} messages");
    ensure!(!topic[0].is_empty(), "the other version was in force, too");
    Ok(())
}

/// Puts the versions in force in turn, until it is done, and counts how often.
fn swap(
    broker: &Broker,
    versions: &[(&str, Vec<u8>)],
    (done, swaps): (&AtomicBool, &AtomicU64),
    is_long: bool,
) -> anyhow::Result<()> {
    let every = if is_long { SWAP_EVERY_LONG } else { SWAP_EVERY };
    let url = format!("http://{}/api/plugins/swapped", broker.http()?);
    let mut due = Instant::now();
    for (_, bytes) in versions.iter().cycle().skip(1) {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let put = ureq::put(&url)
            .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
            .header("content-type", "application/wasm")
            .send(bytes.as_slice());
        put.context("the swap is refused")?;
        swaps.fetch_add(1, Ordering::Relaxed);
        due += every;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Binds and unbinds, until it is done, and counts how often.
fn bind_and_unbind(
    broker: &Broker,
    (done, bindings): (&AtomicBool, &AtomicU64),
) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    declare_queue(&mut client, NOISE)?;
    while !done.load(Ordering::Relaxed) {
        expect_answer(client.call(1, &bind(NOISE, "zzz")?)?)?;
        let unbind = queue::Unbind {
            queue: QueueName::new(NOISE)?,
            exchange: ExchangeName::new(EXCHANGE)?,
            routing_key: RoutingKey::new("zzz")?,
            ..queue::Unbind::default()
        };
        expect_answer(client.call(1, &unbind)?)?;
        bindings.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(BIND_EVERY);
    }
    Ok(())
}

/// A connection that publishes messages with numbers.
struct Producer {
    client: Client,
    number: u64,
    published: u64,
}

impl Producer {
    fn connect(broker: &Broker, number: u64) -> anyhow::Result<Self> {
        let mut client = broker.connect()?;
        client.open(1)?;
        client.call(1, &confirm::Select { no_wait: false })?;
        Ok(Self {
            client,
            number,
            published: 0,
        })
    }

    /// What its message of this number is.
    fn body(&self, number: u64) -> [u8; 16] {
        let mut body = [0; 16];
        body[..8].copy_from_slice(&self.number.to_be_bytes());
        body[8..].copy_from_slice(&number.to_be_bytes());
        body
    }

    /// Publishes at a steady rate, each burst when its time has come and all of the one before are confirmed. Returns how long each took.
    fn publish(&mut self, span: Duration) -> anyhow::Result<Vec<Duration>> {
        let bursts = u64::try_from(span.as_millis())? / 10;
        let begun = Instant::now();
        let mut waits = Vec::new();
        for number in 0..bursts {
            let due = begun + Duration::from_millis(10) * u32::try_from(number)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.burst()?;
            // From when it was due: a wait that delays the next burst counts there, too.
            waits.push(due.elapsed());
        }
        Ok(waits)
    }

    fn burst(&mut self) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        let end = self.published + BURST;
        for number in self.published..end {
            let publish = basic::Publish {
                exchange: ExchangeName::new(EXCHANGE)?,
                routing_key: RoutingKey::new(format!("k.{}", number % KEYS))?,
                ..basic::Publish::default()
            };
            let (properties, body) = (BasicProperties::default(), self.body(number));
            self.client
                .write_publish(1, &publish, &properties, &body, &mut bytes);
        }
        self.client.write(&bytes)?;
        while self.published < end {
            match self.client.method(1)? {
                Method::Basic(basic::Method::Ack(ack)) => self.published = ack.delivery_tag.0,
                other => bail!("{other:?} where a confirm belongs"),
            }
        }
        Ok(())
    }
}

/// All of them publish for so long. Returns the time that the slowest hundredth of the bursts took at least.
fn publish_all(producers: &mut [Producer], span: Duration) -> anyhow::Result<Duration> {
    let waits = std::thread::scope(|scope| {
        let running = producers
            .iter_mut()
            .map(|producer| scope.spawn(|| producer.publish(span)));
        let running: Vec<_> = running.collect();
        let waits = running.into_iter().map(|running| {
            let waits = running.join().ok();
            waits.context("a producer panicked")?
        });
        waits.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
    waits.sort_unstable();
    let p99 = waits.get(waits.len() * 99 / 100).copied();
    Ok(p99.unwrap_or_default())
}

/// All that is in a queue, and how often each is.
fn drain(client: &mut Client, name: &str) -> anyhow::Result<BTreeMap<Vec<u8>, u64>> {
    let left = declare_queue(client, name)?;
    let consume = basic::Consume {
        queue: QueueName::new(name)?,
        no_ack: true,
        ..basic::Consume::default()
    };
    expect_answer(client.call(1, &consume)?)?;
    let mut contents = BTreeMap::new();
    for _ in 0..left {
        let message = client.message(1)?;
        *contents.entry(message.body).or_default() += 1;
    }
    Ok(contents)
}

fn declare(client: &mut Client) -> anyhow::Result<()> {
    let exchange = exchange::Declare {
        exchange: ExchangeName::new(EXCHANGE)?,
        kind: ShortString::new("x-swapped")?,
        ..exchange::Declare::default()
    };
    expect_answer(client.call(1, &exchange)?)?;
    let regex = REGEX_QUEUES.map(|name| (name, "k.+"));
    let topic = TOPIC_QUEUES.map(|name| (name, "#"));
    for (name, key) in regex.into_iter().chain(topic) {
        declare_queue(client, name)?;
        expect_answer(client.call(1, &bind(name, key)?)?)?;
    }
    Ok(())
}

/// Returns how many messages are in it.
fn declare_queue(client: &mut Client, name: &str) -> anyhow::Result<u32> {
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        ..queue::Declare::default()
    };
    match client.call(1, &declare)? {
        Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count),
        other => bail!("{other:?}"),
    }
}

fn bind(name: &str, key: &str) -> anyhow::Result<queue::Bind> {
    Ok(queue::Bind {
        queue: QueueName::new(name)?,
        exchange: ExchangeName::new(EXCHANGE)?,
        routing_key: RoutingKey::new(key)?,
        ..queue::Bind::default()
    })
}

fn expect_answer(method: Method) -> anyhow::Result<()> {
    match method {
        Method::Channel(refusal) => bail!("{refusal:?}"),
        _ => Ok(()),
    }
}
