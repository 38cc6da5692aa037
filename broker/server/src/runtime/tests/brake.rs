//! Who is slowed down for consumers that cannot follow, and who is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{basic, queue};
use amphora_protocol::wire::types::{DeliveryTag, QueueName};
use anyhow::{Context, bail, ensure};

use super::client::Client;
use super::{World, confirming, consume};
use crate::runtime::input::SIZE_MAX;
use crate::runtime::pressure::BRAKE_MAX;
use crate::runtime::queue::SharedQueue;

const BODY: usize = 8 << 10;

impl World {
    fn queue(&self, name: &str) -> anyhow::Result<Arc<SharedQueue>> {
        let vhost = self.broker.broker.vhost("/").context("no vhost")?;
        let topology = vhost.topology();
        let entry = topology.queue(name).context("no queue")?;
        Ok(Arc::clone(&entry.handle))
    }
}

/// Publishes a little more than one read brings.
fn publish_much(client: &mut Client) -> anyhow::Result<()> {
    let body = [b'x'; BODY];
    client.publish_together("", &[("q", &body[..]); SIZE_MAX / BODY])
}

/// Returns when all that was published is in its queue.
fn has_published(client: &mut Client) -> anyhow::Result<()> {
    let declare = queue::Declare {
        queue: QueueName::new("q")?,
        passive: true,
        ..queue::Declare::default()
    };
    client.send(1, &declare)?;
    client.expect("queue.declare-ok")
}

fn consume_with_prefetch(client: &mut Client, prefetch_count: u16) -> anyhow::Result<()> {
    let qos = basic::Qos {
        prefetch_count,
        ..basic::Qos::default()
    };
    client.send(1, &qos)?;
    client.expect("basic.qos-ok")?;
    let consume = basic::Consume {
        queue: QueueName::new("q")?,
        ..basic::Consume::default()
    };
    client.send(1, &consume)?;
    client.expect("basic.consume-ok")
}

/// The longest of the shortest times, which are one in so many: however busy the machine is, it does not make all of them long.
fn one_in(many: usize, mut times: Vec<Duration>) -> anyhow::Result<Duration> {
    times.sort_unstable();
    times.get(times.len() / many).copied().context("no times")
}

#[test]
fn who_sends_little_does_not_wait_beside_who_sends_much() -> anyhow::Result<()> {
    const MESSAGES: usize = 200;
    let world = World::new()?;
    let mut modest = world.client("q")?;
    confirming(&mut modest)?;
    let mut flooding = Client::connect(world.address)?;
    // It reads nothing, so that the queue's publishers are slowed down for as long as there are any.
    let mut deaf = Client::connect(world.address)?;
    consume(&mut deaf, "q")?;
    let queue = world.queue("q")?;
    let mut times = || {
        let begun = Instant::now();
        while !queue.is_full() {
            ensure!(begun.elapsed() < Duration::from_mins(1), "nobody is slowed");
            sleep(Duration::from_millis(1));
        }
        let mut times = Vec::new();
        for _ in 0..MESSAGES {
            let begun = Instant::now();
            modest.publish_together("", &[("q", b"little")])?;
            modest.expect("basic.ack")?;
            times.push(begun.elapsed());
            // Some of these in a pause are little; as many as there can be are not.
            sleep(Duration::from_millis(1));
        }
        ensure!(queue.is_full(), "nobody is slowed any more");
        Ok(times)
    };
    let enough = AtomicBool::new(false);
    let times = scope(|scope| {
        let flood = scope.spawn(|| {
            while !enough.load(Ordering::Relaxed) {
                publish_much(&mut flooding)?;
            }
            anyhow::Ok(())
        });
        let times = times();
        enough.store(true, Ordering::Relaxed);
        match flood.join() {
            Ok(flooded) => flooded.and(times),
            Err(_) => bail!("the flood panicked"),
        }
    })?;
    // Were it slowed, each would take as long as a pause, but for the moment in between.
    let time = one_in(2, times)?;
    ensure!(time < BRAKE_MAX / 2, "{time:?} for a confirm");
    Ok(())
}

#[test]
fn a_consumer_that_is_stuck_slows_nobody_for_long() -> anyhow::Result<()> {
    const READS: u32 = 64;
    let world = World::new()?;
    let mut publisher = world.client("q")?;
    let mut stuck = Client::connect(world.address)?;
    consume_with_prefetch(&mut stuck, 1)?;
    let mut fastest = Duration::MAX;
    for _ in 0..4 {
        let begun = Instant::now();
        for _ in 0..READS {
            publish_much(&mut publisher)?;
        }
        has_published(&mut publisher)?;
        fastest = fastest.min(begun.elapsed());
    }
    // With a pause before each read, no round could be faster than all of its pauses.
    let pauses = BRAKE_MAX * READS;
    ensure!(
        fastest < pauses / 2,
        "{fastest:?}, and all pauses are {pauses:?}"
    );
    Ok(())
}

#[test]
fn who_publishes_and_consumes_does_not_wait_for_itself() -> anyhow::Result<()> {
    const PREFETCH: u16 = 100;
    const ACKED: u64 = 50;
    /// Twice what it can receive in a pause.
    const SPAN: u64 = 200;
    let body = |number: u64| {
        let mut body = vec![b'x'; BODY];
        body[..8].copy_from_slice(&number.to_be_bytes());
        body
    };
    let world = World::new()?;
    let mut client = world.client("q")?;
    let mut published = 0;
    let mut publish = |client: &mut Client, count| {
        let bodies: Vec<_> = (published..published + count).map(body).collect();
        let messages: Vec<_> = bodies.iter().map(|body| ("q", &body[..])).collect();
        client.publish_together("", &messages)?;
        published += count;
        anyhow::Ok(published)
    };
    // So much that the queue asks publishers to wait until nearly all of it is taken.
    let mut expected = 0;
    for _ in 0..100 {
        expected = publish(&mut client, ACKED)?;
    }
    consume_with_prefetch(&mut client, PREFETCH)?;
    let queue = world.queue("q")?;
    let (mut spans, mut begun) = (Vec::new(), Instant::now());
    let mut received = 0;
    while received < expected {
        let body = client.body_within(Duration::from_mins(1))?;
        let body = body.context("a message does not come")?;
        ensure!(
            body[..8] == received.to_be_bytes(),
            "not message {received}"
        );
        received += 1;
        if received % ACKED == 0 {
            let ack = basic::Ack {
                delivery_tag: DeliveryTag(received),
                multiple: true,
            };
            client.send(1, &ack)?;
            // More in a pause than who sends little.
            expected = publish(&mut client, 2)?;
        }
        if received % SPAN == 0 {
            if queue.is_over() {
                spans.push(begun.elapsed());
            }
            begun = Instant::now();
        }
    }
    let time = one_in(4, spans).context("nobody was asked to wait")?;
    // Were it slowed, that would be two pauses.
    ensure!(time < BRAKE_MAX * 3 / 2, "{time:?} for {SPAN} messages");
    Ok(())
}
