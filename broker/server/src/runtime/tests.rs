//! The broker on a store that fails: what clients are told, and that nothing is lost.

mod brake;
mod client;
mod idle;
mod routing;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, confirm, connection, queue, tx};
use amphora_protocol::wire::types::{QueueName, ShortString};
use amphora_storage::testing::LossyStore;
use anyhow::{bail, ensure};
use tokio::net::TcpListener;

use self::client::{Client, Heard};
use super::Runtime;
use crate::auth::Users;
use crate::config::{Config, LoginFrom};

/// A broker within the test, and its store.
struct World {
    tasks: tokio::runtime::Runtime,
    broker: Runtime,
    store: Arc<LossyStore>,
    address: SocketAddr,
    _data: tempfile::TempDir,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        Self::on(Arc::new(LossyStore::new()))
    }

    fn on(store: Arc<LossyStore>) -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let config = Config {
            data_dir: data.path().to_owned(),
            ..Config::default()
        };
        let tasks = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let (broker, address) = tasks.block_on(async {
            let users = Arc::new(Users::none(LoginFrom::default()));
            let mut broker =
                Runtime::start(&config, "amphora@test".to_owned(), store.clone(), users)?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            broker.listen(listener, None);
            anyhow::Ok((broker, address))
        })?;
        Ok(Self {
            tasks,
            broker,
            store,
            address,
            _data: data,
        })
    }

    /// A client with a channel, and a durable queue of this name.
    fn client(&self, name: &str) -> anyhow::Result<Client> {
        let mut client = Client::connect(self.address)?;
        client.send(
            1,
            &queue::Declare {
                queue: QueueName::new(name)?,
                durable: true,
                ..queue::Declare::default()
            },
        )?;
        client.expect("queue.declare-ok")?;
        Ok(client)
    }

    /// Waits until nobody writes to a client. Who still did when the client heard the last word would write what comes next with it.
    fn rest(&self) -> anyhow::Result<()> {
        let connections = self.broker.broker.connections();
        let begun = Instant::now();
        while connections
            .iter()
            .any(|info| info.peer.outbox.lock().writing)
        {
            ensure!(
                begun.elapsed() < Duration::from_secs(30),
                "somebody writes for ever"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn stop(self) -> Arc<LossyStore> {
        let Self {
            tasks,
            broker,
            store,
            ..
        } = self;
        tasks.block_on(broker.shutdown());
        tasks.shutdown_timeout(Duration::from_secs(5));
        store
    }
}

fn confirming(client: &mut Client) -> anyhow::Result<()> {
    client.send(1, &confirm::Select { no_wait: false })?;
    client.expect("confirm.select-ok")
}

fn consume(client: &mut Client, name: &str) -> anyhow::Result<()> {
    client.send(
        1,
        &basic::Consume {
            queue: QueueName::new(name)?,
            no_ack: true,
            ..basic::Consume::default()
        },
    )?;
    client.expect("basic.consume-ok")
}

#[test]
fn a_confirm_does_not_come_before_the_commit() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut client = world.client("q")?;
    confirming(&mut client)?;
    world.store.set_held(true);
    client.publish("q", b"waits")?;
    client.nothing_for(Duration::from_millis(300))?;
    world.store.set_held(false);
    client.expect("basic.ack")
}

#[test]
fn a_committer_that_panics_ends_the_broker_and_confirms_nothing() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut client = world.client("q")?;
    confirming(&mut client)?;
    client.publish("q", b"safe")?;
    client.expect("basic.ack")?;
    let failed = world.broker.failed();
    world.store.set_broken();
    client.publish("q", b"too late")?;
    let name = world.tasks.block_on(async {
        let failed = tokio::time::timeout(Duration::from_mins(1), failed);
        failed.await
    })?;
    ensure!(name == "committer", "{name}");
    client.nothing_for(Duration::from_millis(300))
}

#[test]
fn messages_that_cannot_be_read_for_a_while_are_not_lost() -> anyhow::Result<()> {
    const MESSAGES: u32 = 140;
    let world = World::new()?;
    let mut client = world.client("q")?;
    confirming(&mut client)?;
    let mut body = vec![b'x'; 1 << 20];
    for number in 0..MESSAGES {
        body[..4].copy_from_slice(&number.to_be_bytes());
        client.publish("q", &body)?;
    }
    client.confirmed(MESSAGES.into())?;
    world.store.set_unreadable(true);
    let mut consumer = Client::connect(world.address)?;
    consume(&mut consumer, "q")?;
    let begun = Instant::now();
    let mut wanted = 0;
    while wanted < MESSAGES {
        // Somewhere in between the queue has to be read back.
        if world.store.refused_reads() > 2 {
            world.store.set_unreadable(false);
        }
        ensure!(
            begun.elapsed() < Duration::from_mins(1),
            "no message after {wanted} came back"
        );
        if let Some(body) = consumer.body_within(Duration::from_millis(100))? {
            ensure!(body.get(..4) == Some(&wanted.to_be_bytes()[..]));
            wanted += 1;
        }
    }
    ensure!(
        world.store.refused_reads() > 2,
        "all of it stayed in memory"
    );
    Ok(())
}

#[test]
fn a_store_that_refuses_blocks_all_publishers_until_it_takes_messages_again() -> anyhow::Result<()>
{
    let world = World::new()?;
    let mut idle = world.client("q")?;
    confirming(&mut idle)?;
    idle.publish("q", b"before")?;
    idle.expect("basic.ack")?;
    let mut waiting = Client::connect(world.address)?;
    confirming(&mut waiting)?;
    let mut bystander = Client::connect(world.address)?;

    world.store.set_full(true);
    waiting.publish("q", b"refused")?;
    for publisher in [&mut idle, &mut waiting] {
        let Heard::Method(Method::Connection(connection::Method::Blocked(blocked))) =
            publisher.hear()?
        else {
            bail!("no connection.blocked");
        };
        ensure!(blocked.reason == ShortString::cut("low on disk"));
    }
    waiting.expect("basic.nack")?;

    world.store.set_full(false);
    for publisher in [&mut idle, &mut waiting] {
        publisher.expect("connection.unblocked")?;
        publisher.publish("q", b"after")?;
        publisher.expect("basic.ack")?;
    }
    // Who has never published is told nothing.
    bystander.nothing_for(Duration::from_millis(100))
}

#[test]
fn what_a_store_refused_until_the_end_is_promised_to_nobody() -> anyhow::Result<()> {
    for round in 0..3 {
        let world = World::new()?;
        let mut client = world.client("q")?;
        confirming(&mut client)?;
        let mut other = Client::connect(world.address)?;
        other.send(1, &tx::Select {})?;
        other.expect("tx.select-ok")?;
        world.store.set_full(true);
        client.publish("q", b"lost")?;
        other.publish("q", b"lost")?;
        other.send(1, &tx::Commit {})?;
        // Any moment of the retries.
        std::thread::sleep(Duration::from_millis(120 * round));
        let store = world.stop();
        for mut client in [client, other] {
            while let Ok(heard) = client.hear() {
                let promised = matches!(
                    heard,
                    Heard::Method(
                        Method::Basic(basic::Method::Ack(_)) | Method::Tx(tx::Method::CommitOk(_))
                    )
                );
                ensure!(!promised, "{heard:?} for a message that is lost");
            }
        }
        store.set_full(false);
        let world = World::on(Arc::new(store.crash(usize::MAX)))?;
        world.client("q")?;
    }
    Ok(())
}

#[test]
fn a_broker_whose_store_refuses_says_goodbye() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut client = world.client("q")?;
    world.store.set_full(true);
    client.send(
        1,
        &queue::Declare {
            queue: QueueName::new("never")?,
            durable: true,
            ..queue::Declare::default()
        },
    )?;
    client.nothing_for(Duration::from_millis(200))?;
    let stopping = std::thread::spawn(move || world.stop());
    client.expect("connection.close")?;
    client.send(0, &connection::CloseOk {})?;
    ensure!(stopping.join().is_ok());
    Ok(())
}

#[test]
fn what_is_settled_while_the_store_refuses_is_settled_when_it_takes_it() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut client = world.client("q")?;
    confirming(&mut client)?;
    for number in 0..100 {
        client.publish("q", format!("{number}").as_bytes())?;
    }
    client.confirmed(100)?;
    world.store.set_full(true);
    client.publish("q", b"while it refuses")?;
    let mut consumer = Client::connect(world.address)?;
    consume(&mut consumer, "q")?;
    for _ in 0..=100 {
        ensure!(consumer.body_within(Duration::from_mins(1))?.is_some());
    }
    let commits = world.store.commits();
    world.store.set_full(false);
    client.expect("connection.blocked")?;
    // Two tasks say this, in no order.
    let heard = [client.hear()?, client.hear()?];
    for name in ["connection.unblocked", "basic.ack"] {
        let said = |heard: &Heard| matches!(heard, Heard::Method(method) if method.name() == name);
        ensure!(heard.iter().any(said), "{heard:?} without {name}");
    }
    // All in one group, with what had joined it.
    ensure!(world.store.commits() > commits);
    let survivor = world.store.crash(0);
    drop(consumer);
    world.stop();
    let world = World::on(Arc::new(survivor))?;
    let mut client = Client::connect(world.address)?;
    client.send(
        1,
        &queue::Declare {
            queue: QueueName::new("q")?,
            passive: true,
            ..queue::Declare::default()
        },
    )?;
    let Heard::Method(Method::Queue(queue::Method::DeclareOk(ok))) = client.hear()? else {
        bail!("the queue is gone");
    };
    ensure!(
        ok.message_count == 0,
        "{} came back though they were settled",
        ok.message_count
    );
    Ok(())
}
