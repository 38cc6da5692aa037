//! A plugin is replaced while messages flow through it: none is lost, none comes twice, and each is routed wholly by one version.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client, Settings, workspace};
use anyhow::{Context, bail, ensure};

use crate::built::{component, example};

const EXCHANGE: &str = "swapped";
/// Messages a second, in bursts of a hundredth of that.
const RATE: u64 = 20_000;
/// How long to publish, in seconds; `AMPHORA_SWAP_SECONDS=60` is the long run.
const SECONDS: u64 = 4;
/// How often to swap meanwhile in the short run, and in the long one. A swap that took longer is followed by the next at once.
const SWAP_EVERY: Duration = Duration::from_millis(150);
const SWAP_EVERY_LONG: Duration = Duration::from_millis(500);
/// What the long run has to show: so many swaps a minute, and confirms that take at most so many times as long as without. A
/// shorter wait than this one is noise.
const SWAPS_A_MINUTE: u64 = 100;
const SLOWER_MAX: u32 = 2;
const P99_MIN: Duration = Duration::from_millis(2);

/// The queues that the one version routes to, and those of the other. As a regular expression `k.+` matches the key and `#` does not; as a pattern
/// of words it is the other way round.
const REGEX_QUEUES: [&str; 2] = ["regex-1", "regex-2"];
const TOPIC_QUEUES: [&str; 2] = ["topic-1", "topic-2"];
const KEY: &str = "k.k";

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
    client.call(1, &confirm::Select { no_wait: false })?;

    let seconds = match std::env::var("AMPHORA_SWAP_SECONDS") {
        Ok(seconds) => seconds.parse()?,
        Err(_) => SECONDS,
    };
    let is_long = seconds > SECONDS;
    let calm = Confirmed::publish(&mut client, Duration::from_secs(seconds.div_ceil(6)))?;
    let done = AtomicBool::new(false);
    let (swapped, swaps) = std::thread::scope(|scope| {
        let other = scope.spawn(|| swap(&broker, &versions, &done, is_long));
        let swapped = Confirmed::publish(&mut client, Duration::from_secs(seconds));
        done.store(true, Ordering::Relaxed);
        (swapped, other.join())
    });
    let (swapped, swaps) = (swapped?, swaps.ok().context("the swapper panicked")??);
    println!(
        "{} messages, {swaps} swaps; confirms: p99 {:?} before, {:?} meanwhile",
        swapped.count, calm.p99, swapped.p99
    );
    ensure!(swaps >= 4, "{swaps} swaps are too few to say anything");
    if is_long {
        let wanted = SWAPS_A_MINUTE * seconds / 60;
        ensure!(swaps >= wanted, "{swaps} swaps, and {wanted} were wanted");
        let allowed = calm.p99.max(P99_MIN) * SLOWER_MAX;
        ensure!(swapped.p99 <= allowed, "{:?} is too slow", swapped.p99);
    }

    let mut count = |queue: &str| ready(&mut client, queue);
    let regex = [count(REGEX_QUEUES[0])?, count(REGEX_QUEUES[1])?];
    let topic = [count(TOPIC_QUEUES[0])?, count(TOPIC_QUEUES[1])?];
    assert_eq!(regex[0], regex[1], "routed by one version, wholly");
    assert_eq!(topic[0], topic[1], "routed by one version, wholly");
    assert_eq!(u64::from(regex[0] + topic[0]), calm.count + swapped.count);
    assert!(topic[0] > 0, "the other version was in force, too");
    Ok(())
}

/// Puts the versions in force in turn, until it is done. Returns how often.
fn swap(
    broker: &Broker,
    versions: &[(&str, Vec<u8>)],
    done: &AtomicBool,
    is_long: bool,
) -> anyhow::Result<u64> {
    let every = if is_long { SWAP_EVERY_LONG } else { SWAP_EVERY };
    let url = format!("http://{}/api/plugins/swapped", broker.http()?);
    let mut swaps = 0;
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
        swaps += 1;
        due += every;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(swaps)
}

/// What was published and confirmed.
struct Confirmed {
    count: u64,
    p99: Duration,
}

impl Confirmed {
    /// Publishes at a steady rate, each burst when its time has come, and waits for all confirms.
    fn publish(client: &mut Client, span: Duration) -> anyhow::Result<Self> {
        let burst = RATE / 100;
        let bursts = u64::try_from(span.as_millis())? / 10;
        let mut bytes = Vec::new();
        let publish = basic::Publish {
            exchange: ExchangeName::new(EXCHANGE)?,
            routing_key: RoutingKey::new(KEY)?,
            ..basic::Publish::default()
        };
        let properties = BasicProperties::default();
        for _ in 0..burst {
            client.write_publish(1, &publish, &properties, b"0123456789abcdef", &mut bytes);
        }
        let begun = Instant::now();
        let mut waits = Vec::new();
        let mut confirmed = 0;
        for number in 0..bursts {
            let due = begun + Duration::from_millis(10) * u32::try_from(number)?;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            client.write(&bytes)?;
            // From when it was due: a wait that delays the next burst counts there, too.
            while confirmed < (number + 1) * burst {
                confirmed = answered(client, confirmed)?;
            }
            waits.push(due.elapsed());
        }
        waits.sort_unstable();
        let p99 = waits.get(waits.len() * 99 / 100).copied();
        Ok(Self {
            count: confirmed,
            p99: p99.unwrap_or_default(),
        })
    }
}

thread_local! {
    /// The last confirm's number: confirms count all of a channel's publishes.
    static LAST: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Reads one answer. Returns how many publishes of this round are confirmed.
fn answered(client: &mut Client, before: u64) -> anyhow::Result<u64> {
    match client.method(1)? {
        Method::Basic(basic::Method::Ack(ack)) => {
            let last = LAST.replace(ack.delivery_tag.0);
            Ok(before + ack.delivery_tag.0 - last)
        }
        other => bail!("{other:?} where a confirm belongs"),
    }
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
        let declare = queue::Declare {
            queue: QueueName::new(name)?,
            ..queue::Declare::default()
        };
        expect_answer(client.call(1, &declare)?)?;
        let bind = queue::Bind {
            queue: QueueName::new(name)?,
            exchange: ExchangeName::new(EXCHANGE)?,
            routing_key: RoutingKey::new(key)?,
            ..queue::Bind::default()
        };
        expect_answer(client.call(1, &bind)?)?;
    }
    Ok(())
}

fn expect_answer(method: Method) -> anyhow::Result<()> {
    match method {
        Method::Channel(refusal) => bail!("{refusal:?}"),
        _ => Ok(()),
    }
}

fn ready(client: &mut Client, name: &str) -> anyhow::Result<u32> {
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        passive: true,
        ..queue::Declare::default()
    };
    match client.call(1, &declare)? {
        Method::Queue(queue::Method::DeclareOk(queue)) => Ok(queue.message_count),
        other => bail!("{other:?}"),
    }
}
