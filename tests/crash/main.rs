//! kill -9 at any moment: what was confirmed is there unless it was acknowledged, once, in order; what is gone stays gone.
//!
//! The rounds go on one after the other with the same data directory, so that each starts from what the ones before left.
//! `AMPHORA_CRASH_SEED` repeats a run as far as timing lets it be repeated; `AMPHORA_CRASH_ROUNDS` makes it longer.

mod consumer;
mod fanout;
mod inspection;
mod ledger;
mod message;
mod publisher;
mod random;
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use amphora_protocol::wire::method::{exchange, queue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, ShortString};
use amphora_tests::{Broker, Settings};

use ledger::Ledger;
use random::Random;

/// The queues, each bound to the exchange that gives every message to all of them.
const QUEUES: [&str; 4] = ["north", "east", "south", "west"];
const EXCHANGE: &str = "everywhere";

/// A durable queue for messages that are published for the sake of their confirm.
const ASIDE: &str = "aside";

const PUBLISHERS: u16 = 3;
const CONSUMERS: u16 = 2;
const ROUNDS: u16 = 20;

/// How long a broker lives before it is killed.
const LIFE_MS: std::ops::Range<u64> = 20..700;

#[test]
fn nothing_is_lost_and_nothing_comes_twice() -> anyhow::Result<()> {
    let seed = number("AMPHORA_CRASH_SEED").unwrap_or_else(from_clock);
    let rounds = number("AMPHORA_CRASH_ROUNDS").and_then(|rounds| rounds.try_into().ok());
    println!("AMPHORA_CRASH_SEED={seed}");
    let mut random = Random::new(seed);
    let mut broker = Broker::with(Settings {
        on_disk: true,
        ..Settings::default()
    })?;
    declare(&broker)?;
    let mut ledger = Ledger::default();
    for round in 0..rounds.unwrap_or(ROUNDS) {
        live(&mut broker, round, &mut random, &mut ledger)?;
        if random.one_in(3) {
            broker.start_and_kill(Duration::from_millis(random.below(60)))?;
        }
        broker.restart()?;
        let found = inspection::look(&broker)?;
        println!("round {round}: {}", ledger.settle(&found)?);
    }
    inspection::empty(&broker, &mut ledger)?;
    broker.restart()?;
    println!("the end: {}", ledger.settle(&inspection::look(&broker)?)?);
    Ok(())
}

fn declare(broker: &Broker) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = exchange::Declare {
        exchange: ExchangeName::new(EXCHANGE)?,
        kind: ShortString::new("fanout")?,
        durable: true,
        ..exchange::Declare::default()
    };
    client.call(1, &declare)?;
    for name in QUEUES.into_iter().chain([ASIDE]) {
        let declare = queue::Declare {
            queue: QueueName::new(name)?,
            durable: true,
            ..queue::Declare::default()
        };
        client.call(1, &declare)?;
    }
    for name in QUEUES {
        let bind = queue::Bind {
            queue: QueueName::new(name)?,
            exchange: ExchangeName::new(EXCHANGE)?,
            ..queue::Bind::default()
        };
        client.call(1, &bind)?;
    }
    Ok(())
}

/// Has clients publish and consume until the broker is killed, and writes down what they know.
fn live(
    broker: &mut Broker,
    round: u16,
    random: &mut Random,
    ledger: &mut Ledger,
) -> anyhow::Result<()> {
    let killed = AtomicBool::new(false);
    let mut publishers = Vec::new();
    for number in 0..PUBLISHERS {
        let sender = round * PUBLISHERS + number;
        publishers.push((broker.connect()?, sender, Random::new(random.next())));
    }
    // What is consumed from is nearly empty when the crash comes, what is not is long; now and then everything is emptied.
    let empties = random.one_in(3);
    let mut queues = QUEUES.to_vec();
    queues.retain(|_| empties || random.one_in(2));
    let mut consumers = Vec::new();
    for _ in 0..CONSUMERS {
        consumers.push((broker.connect()?, Random::new(random.next())));
    }
    let life = Duration::from_millis(LIFE_MS.start + random.below(LIFE_MS.end - LIFE_MS.start));
    std::thread::scope(|scope| {
        let (killed, queues) = (&killed, &queues);
        let publishers: Vec<_> = publishers
            .into_iter()
            .map(|(client, sender, random)| {
                scope.spawn(move || publisher::run(client, sender, random, killed))
            })
            .collect();
        let consumers: Vec<_> = consumers
            .into_iter()
            .map(|(client, random)| {
                scope.spawn(move || consumer::run(client, queues, random, killed))
            })
            .collect();
        // Not an event but a moment: any.
        std::thread::sleep(life);
        killed.store(true, Ordering::Release);
        broker.kill()?;
        for publisher in publishers {
            ledger.published(publisher.join().expect("a publisher does not panic")?);
        }
        let mut deliveries = Vec::new();
        for consumer in consumers {
            let report = consumer.join().expect("a consumer does not panic")?;
            deliveries.extend(report.deliveries.iter().copied());
            ledger.consumed(report);
        }
        ledger::assert_first_deliveries(&deliveries)
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn from_clock() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
