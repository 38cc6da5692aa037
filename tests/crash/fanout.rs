//! A large body that went to many queues is stored once, and for as long as one of them needs it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use amphora_core::store::{QueueId, Store};
use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{
    ConsumerTag, DeliveryTag, ExchangeName, QueueName, ShortString,
};
use amphora_storage::{FjallStore, Options};
use amphora_tests::{Broker, Received, Settings};
use anyhow::{bail, ensure};

use super::random::Random;

const EXCHANGE: &str = "everywhere";
const QUEUES: usize = 10;
const MESSAGES: u64 = 480;
const BODY_BYTES: usize = 64 << 10;

/// What one copy of everything takes.
const COPY_BYTES: u64 = MESSAGES * BODY_BYTES as u64;

#[test]
fn a_fanout_is_stored_once_and_until_the_last_queue_is_done() -> anyhow::Result<()> {
    let mut broker = Broker::with(Settings {
        on_disk: true,
        ..Settings::default()
    })?;
    declare(&broker)?;
    publish(&broker)?;
    broker.kill()?;
    let size = allocated(&broker.data_dir())?;
    println!("{size} bytes for {COPY_BYTES} of bodies in {QUEUES} queues");
    // Once in the journal and once in tables, and what is preallocated.
    ensure!(size < 3 * COPY_BYTES, "{size} bytes");
    let found = stored(&broker)?;
    // A body is stored twice if a group began while it was being put into the queues.
    let once = COPY_BYTES..COPY_BYTES * 5 / 4;
    ensure!(once.contains(&found.bodies), "{found:?}");
    ensure!(found.queues == QUEUES, "{found:?}");

    broker.restart()?;
    for queue in 1..QUEUES {
        ensure!(consume(&broker, queue, true)? == MESSAGES, "queue {queue}");
    }
    broker.kill()?;
    broker.restart()?;
    let left = consume(&broker, 0, false)?;
    ensure!(left == MESSAGES, "{left} are left in the last queue");
    for queue in 1..QUEUES {
        // Acknowledgements that were not committed before the crash have come to nothing.
        consume(&broker, queue, true)?;
    }
    stop(&mut broker)?;
    let found = stored(&broker)?;
    ensure!(found.bodies >= COPY_BYTES && found.queues == 1, "{found:?}");

    broker.restart()?;
    ensure!(consume(&broker, 0, true)? == MESSAGES, "the last queue");
    stop(&mut broker)?;
    let found = stored(&broker)?;
    ensure!((found.bodies, found.queues) == (0, 0), "{found:?}");
    Ok(())
}

/// What the store has while no broker has it.
#[derive(Debug)]
struct Found {
    /// Bytes of shared bodies.
    bodies: u64,
    /// Queues that have messages.
    queues: usize,
}

fn stored(broker: &Broker) -> anyhow::Result<Found> {
    let store = FjallStore::open(broker.data_dir(), Options::default())?;
    let mut found = Found {
        bodies: 0,
        queues: 0,
    };
    for queue in store.recover()?.queues {
        if queue.queue == QueueId::SHARED {
            let bytes = queue.records.iter().map(|record| u64::from(record.bytes));
            found.bodies = bytes.sum();
        } else {
            found.queues += usize::from(!queue.records.is_empty());
        }
    }
    Ok(found)
}

/// Ends the broker with everything committed.
fn stop(broker: &mut Broker) -> anyhow::Result<()> {
    broker.terminate()?;
    let (status, log) = broker.end()?;
    ensure!(status.success(), "{log}");
    Ok(())
}

fn name(queue: usize) -> anyhow::Result<QueueName> {
    Ok(QueueName::new(format!("copy-{queue}"))?)
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
    for number in 0..QUEUES {
        let declare = queue::Declare {
            queue: name(number)?,
            durable: true,
            ..queue::Declare::default()
        };
        client.call(1, &declare)?;
        let bind = queue::Bind {
            queue: name(number)?,
            exchange: ExchangeName::new(EXCHANGE)?,
            ..queue::Bind::default()
        };
        client.call(1, &bind)?;
    }
    Ok(())
}

/// Returns when everything is confirmed.
fn publish(broker: &Broker) -> anyhow::Result<()> {
    let mut client = broker.connect()?;
    client.open(1)?;
    client.call(1, &confirm::Select::default())?;
    let publish = basic::Publish {
        exchange: ExchangeName::new(EXCHANGE)?,
        ..basic::Publish::default()
    };
    let persistent = BasicProperties {
        delivery_mode: Some(2),
        ..BasicProperties::default()
    };
    for number in 0..MESSAGES {
        client.publish(1, &publish, &persistent, &body(number))?;
    }
    loop {
        match client.receive()? {
            Received::Method(1, Method::Basic(basic::Method::Ack(ack))) => {
                if ack.delivery_tag.0 == MESSAGES {
                    return Ok(());
                }
            }
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
}

/// Has everything delivered that the queue has, which must be whole and in order, and returns how much it was. What is not
/// acknowledged goes back.
fn consume(broker: &Broker, queue: usize, acknowledge: bool) -> anyhow::Result<u64> {
    let mut client = broker.connect()?;
    client.open(1)?;
    let declare = queue::Declare {
        queue: name(queue)?,
        passive: true,
        ..queue::Declare::default()
    };
    let Method::Queue(queue::Method::DeclareOk(found)) = client.call(1, &declare)? else {
        bail!("no queue.declare-ok");
    };
    let count = u64::from(found.message_count);
    let consume = basic::Consume {
        queue: found.queue,
        consumer_tag: ConsumerTag::new("all")?,
        no_wait: true,
        ..basic::Consume::default()
    };
    client.send(1, &consume)?;
    for number in MESSAGES - count..MESSAGES {
        let message = client.message(1)?;
        ensure!(message.body == body(number), "{number} in queue {queue}");
    }
    if acknowledge {
        let all = basic::Ack {
            delivery_tag: DeliveryTag(0),
            multiple: true,
        };
        client.send(1, &all)?;
        // Its answer says that the broker has the acknowledgement.
        client.call(1, &basic::Qos::default())?;
    }
    Ok(count)
}

/// Bytes that nothing makes smaller.
fn body(number: u64) -> Vec<u8> {
    let mut random = Random::new(number);
    let words = std::iter::repeat_with(|| random.next().to_be_bytes());
    words.flatten().take(BODY_BYTES).collect()
}

/// What the folder takes on the disk; files may have holes.
fn allocated(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Files go while one looks.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        bytes += if metadata.is_dir() {
            allocated(&entry.path())?
        } else {
            metadata.blocks() * 512
        };
    }
    Ok(bytes)
}
