//! A disk that is full, made so by a file beside the data.

use std::fs::File;
use std::path::Path;

use amphora_protocol::wire::method::{Method, basic, confirm, connection, queue};
use amphora_protocol::wire::types::{DeliveryTag, QueueName};
use amphora_tests::{Broker, Client, Received, Settings};
use anyhow::{bail, ensure};
use rustix::fs::FallocateFlags;

/// What is confirmed before the disk is full.
const MESSAGES: u32 = 50;

/// A disk on which the broker may use a part of what is free, and a file that takes more than that.
struct Disk {
    reserve: u64,
    filler: u64,
}

impl Disk {
    fn look(folder: &Path) -> anyhow::Result<Self> {
        let stat = rustix::fs::statvfs(folder)?;
        let free = stat.f_bavail * stat.f_frsize;
        // Other tests use it meanwhile, so the bounds are wide. The reserve is not all used up: settling needs a part of it.
        Ok(Self {
            reserve: free / 2,
            filler: free / 8 * 5,
        })
    }

    fn fill(&self, file: &Path) -> anyhow::Result<()> {
        let file = File::create(file)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.filler)?;
        Ok(())
    }
}

#[test]
fn a_full_disk_can_be_drained() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let disk = Disk::look(folder.path())?;
    let mut broker = Broker::with(Settings {
        data_dir: Some(folder.path().join("data")),
        config: format!(
            "[limits]\ndisk_free_limit = \"{}KiB\"\n",
            disk.reserve / 1024
        ),
        ..Settings::default()
    })?;
    let mut publisher = broker.connect()?;
    publisher.open(1)?;
    for name in ["drained", "other"] {
        publisher.call(1, &durable(name)?)?;
    }
    publisher.call(1, &confirm::Select { no_wait: false })?;
    for number in 0..MESSAGES {
        publisher.publish_to(1, "drained", &number.to_be_bytes())?;
    }
    confirmed(&mut publisher, MESSAGES.into())?;
    let mut late = broker.connect()?;
    late.open(1)?;
    late.call(1, &confirm::Select { no_wait: false })?;

    let filler = folder.path().join("filler");
    disk.fill(&filler)?;
    // Whoever looks first blocks those who have published. One who has not is heard once; nobody consumes what it
    // sends, and what is drained must not wait for it.
    late.publish_to(1, "other", b"has to wait")?;
    for client in [&mut publisher, &mut late] {
        let Method::Connection(connection::Method::Blocked(blocked)) = client.method(0)? else {
            bail!("a publisher is not told");
        };
        ensure!(blocked.reason.as_str() == "low on disk");
    }
    let Method::Basic(basic::Method::Nack(_)) = late.method(1)? else {
        bail!("a message that is not safe was not refused");
    };

    drain(&mut broker.connect()?)?;
    // Acknowledgements are gathered for 20 ms, and a store that refuses is asked again after 200. Nobody is told when they are
    // on the disk, so this is a multiple of it, for a machine that is busy.
    std::thread::sleep(std::time::Duration::from_secs(6));
    broker.kill()?;

    std::fs::remove_file(&filler)?;
    broker.restart()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    let Method::Queue(queue::Method::DeclareOk(ok)) = client.call(1, &durable("drained")?)? else {
        bail!("the queue is gone");
    };
    ensure!(
        ok.message_count == 0,
        "{} messages came back that were acknowledged while the disk was full",
        ok.message_count
    );
    client.call(1, &confirm::Select { no_wait: false })?;
    client.publish_to(1, "drained", b"there is space again")?;
    confirmed(&mut client, 1)
}

/// Takes and acknowledges all messages of the one queue.
fn drain(consumer: &mut Client) -> anyhow::Result<()> {
    consumer.open(1)?;
    consumer.call(
        1,
        &basic::Consume {
            queue: QueueName::new("drained")?,
            ..basic::Consume::default()
        },
    )?;
    let mut delivery_tag = DeliveryTag(0);
    for number in 0..MESSAGES {
        let message = consumer.message(1)?;
        ensure!(message.body == number.to_be_bytes());
        let basic::Method::Deliver(deliver) = message.method else {
            bail!("{:?}", message.method);
        };
        delivery_tag = deliver.delivery_tag;
    }
    let multiple = true;
    consumer.send(
        1,
        &basic::Ack {
            delivery_tag,
            multiple,
        },
    )?;
    // The answer to a question means that the acknowledgement before it was read.
    consumer.call(1, &basic::Qos::default())?;
    Ok(())
}

fn durable(name: &str) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(name)?,
        durable: true,
        ..queue::Declare::default()
    })
}

fn confirmed(client: &mut Client, count: u64) -> anyhow::Result<()> {
    loop {
        match client.beyond_heartbeats()? {
            Received::Method(1, Method::Basic(basic::Method::Ack(ack))) => {
                if ack.delivery_tag.0 == count {
                    return Ok(());
                }
            }
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
}
