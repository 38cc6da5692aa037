//! Clients that make it difficult.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use amphora_protocol::wire::method::{Method, basic, channel, connection, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::types::{ConsumerTag, QueueName, RoutingKey};
use amphora_tests::{Broker, Client, Login, PATIENCE, Received, Settings};
use anyhow::bail;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

#[test]
fn the_tag_of_a_consumer_is_free_as_soon_as_the_client_knows_that_it_was_cancelled()
-> anyhow::Result<()> {
    let broker = Broker::start()?;
    let (mut client, mut other) = (broker.connect()?, broker.connect()?);
    client.open(1)?;
    other.open(1)?;
    declare(&mut client, "next")?;
    for round in 0..20 {
        let name = format!("q{round}");
        declare(&mut client, &name)?;
        let Method::Basic(basic::Method::ConsumeOk(_)) = client.call(1, &consume(&name)?)? else {
            bail!("no consumer");
        };
        // Each of them waits for the disk, so that the connection is busy for a while.
        for number in 0..20 {
            let name = format!("busy{round}.{number}");
            client.send(1, &durable(&name)?)?;
        }
        let delete = queue::Delete {
            queue: QueueName::new(name.clone())?,
            ..queue::Delete::default()
        };
        other.call(1, &delete)?;
        let Method::Basic(basic::Method::Cancel(_)) = client.method(1)? else {
            bail!("the consumer was not cancelled");
        };
        match client.call(1, &consume("next")?)? {
            Method::Basic(basic::Method::ConsumeOk(_)) => {}
            other => bail!("{other:?}"),
        }
        client.call(
            1,
            &basic::Cancel {
                consumer_tag: ConsumerTag::new("t")?,
                no_wait: false,
            },
        )?;
    }
    Ok(())
}

#[test]
fn the_queues_of_a_connection_are_gone_when_it_hears_the_last_word() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut next = broker.connect()?;
    next.open(1)?;
    for round in 0..6 {
        let mut client = std::mem::replace(&mut next, broker.connect()?);
        next.open(1)?;
        let names = (0..200).map(|number| QueueName::new(format!("q{round}.{number}")));
        let names = names.collect::<Result<Vec<_>, _>>()?;
        for queue in &names {
            let queue = queue.clone();
            client.call(1, &exclusive(queue))?;
        }
        if round % 2 == 0 {
            client.send(0, &connection::Close::default())?;
        } else {
            // No frame begins like this.
            client.write(&[0xFF; 8])?;
        }
        match client.method(0)? {
            Method::Connection(connection::Method::CloseOk(_)) if round % 2 == 0 => {}
            Method::Connection(connection::Method::Close(_)) if round % 2 == 1 => {}
            other => bail!("{other:?}"),
        }
        for queue in names.into_iter().rev() {
            match next.call(1, &exclusive(queue))? {
                Method::Queue(queue::Method::DeclareOk(_)) => {}
                other => bail!("{other:?}"),
            }
        }
    }
    Ok(())
}

#[test]
fn a_consumer_that_was_cancelled_takes_no_other_with_it() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut other = broker.connect()?;
    other.open(1)?;
    declare(&mut other, "stays")?;
    for round in 0..20 {
        let mut client = broker.connect()?;
        client.open(1)?;
        let goes = format!("goes{round}");
        declare(&mut client, &goes)?;
        client.call(1, &consume(&goes)?)?;
        // While the connection waits for the disk it does not hear that its consumer is cancelled; by then another has the tag.
        for number in 0..3 {
            client.send(1, &durable(&format!("busy{round}.{number}"))?)?;
        }
        client.send(1, &channel::Close::default())?;
        client.send(1, &channel::Open {})?;
        client.send(1, &consume("stays")?)?;
        let delete = queue::Delete {
            queue: QueueName::new(goes)?,
            ..queue::Delete::default()
        };
        other.call(1, &delete)?;
        loop {
            if let Method::Basic(basic::Method::ConsumeOk(_)) = client.method(1)? {
                break;
            }
        }
        client.call(
            1,
            &basic::Cancel {
                consumer_tag: ConsumerTag::new("t")?,
                no_wait: false,
            },
        )?;
        let passive = queue::Declare {
            queue: QueueName::new("stays")?,
            passive: true,
            ..queue::Declare::default()
        };
        let Method::Queue(queue::Method::DeclareOk(ok)) = other.call(1, &passive)? else {
            bail!("the queue is gone");
        };
        assert_eq!(ok.consumer_count, 0, "a consumer stayed that nobody has");
    }
    Ok(())
}

#[test]
fn a_client_that_reads_nothing_is_not_given_a_whole_queue() -> anyhow::Result<()> {
    const MESSAGES: u32 = 50;
    let broker = Broker::start()?;
    let (mut deaf, mut other) = (broker.connect()?, broker.connect()?);
    deaf.open(1)?;
    other.open(1)?;
    declare(&mut other, "q")?;
    for _ in 0..MESSAGES {
        other.publish_to(1, "q", &vec![1; 1 << 20])?;
    }
    assert_eq!(declare(&mut other, "q")?, MESSAGES);
    let get = basic::Get {
        queue: QueueName::new("q")?,
        no_ack: true,
    };
    for _ in 0..MESSAGES {
        deaf.send(1, &get)?;
    }
    // It gets what may wait for it, and what the sockets hold.
    let mut left = MESSAGES;
    let begun = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = declare(&mut other, "q")?;
        // While all are left, nothing that it asked for was looked at yet.
        if now == left && now < MESSAGES {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it gets nothing");
        left = now;
    }
    assert!((1..MESSAGES).contains(&left), "{left} left");
    for _ in 0..MESSAGES {
        assert_eq!(deaf.message(1)?.body.len(), 1 << 20);
    }
    assert_eq!(declare(&mut other, "q")?, 0);
    Ok(())
}

#[test]
fn a_client_that_does_not_read_what_comes_back_is_not_listened_to() -> anyhow::Result<()> {
    const MESSAGES: u32 = 150;
    let broker = Broker::start()?;
    let mut reader = broker.connect()?;
    reader.open(1)?;
    let mut writer = reader.second_hand()?;
    let written = AtomicU32::new(0);
    let body = vec![1; 1 << 20];
    let publish = basic::Publish {
        routing_key: RoutingKey::new("nowhere")?,
        mandatory: true,
        ..basic::Publish::default()
    };
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for _ in 0..MESSAGES {
                writer.publish(1, &publish, &BasicProperties::default(), &body)?;
                written.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
        let mut before = 0;
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = written.load(Ordering::Relaxed);
            if now == before {
                break;
            }
            before = now;
        }
        assert!(before < MESSAGES, "all were listened to");
        for _ in 0..MESSAGES {
            assert_eq!(reader.message(1)?.body.len(), 1 << 20);
        }
        writing.join().expect("no panic")
    })
}

#[test]
fn a_client_that_errs_in_a_loop_does_not_fill_the_log() -> anyhow::Result<()> {
    let mut broker = Broker::start()?;
    let mut client = broker.connect()?;
    for _ in 0..50 {
        client.open(1)?;
        let Method::Channel(channel::Method::Close(_)) = client.call(1, &consume("none")?)? else {
            bail!("a queue that is not there");
        };
        client.send(1, &channel::CloseOk {})?;
    }
    broker.terminate()?;
    let (_, log) = broker.end()?;
    let told = log.matches("no queue 'none'").count();
    assert_eq!(told, 10, "{log}");
    Ok(())
}

#[test]
fn a_client_that_waits_for_the_disk_gets_heartbeats() -> anyhow::Result<()> {
    let broker = Broker::with(Settings {
        config: "[limits]\ndisk_free_limit = \"1000000GiB\"\n".to_owned(),
        ..Settings::default()
    })?;
    let mut client = broker.login(&Login::with_heartbeat(1))?;
    client.open(1)?;
    client.send(1, &durable("q")?)?;
    // Nothing is said but that, for as long as the disk is full.
    for _ in 0..5 {
        assert_eq!(client.receive()?, Received::Heartbeat);
    }
    Ok(())
}

/// A heartbeat is no reason to leave out the next one.
#[test]
fn an_idle_client_gets_two_heartbeats_in_each_interval() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut client = broker.login(&Login::with_heartbeat(2))?;
    let begun = Instant::now();
    loop {
        let first = Instant::now();
        for _ in 0..4 {
            assert_eq!(client.receive()?, Received::Heartbeat);
            // The client says something, too.
            client.write(b"\x08\0\0\0\0\0\0\xce")?;
        }
        // One in each interval would take seven seconds at least, each time. On a busy machine some are late.
        if first.elapsed() < Duration::from_secs(6) {
            return Ok(());
        }
        assert!(begun.elapsed() < PATIENCE, "they are always late");
    }
}

fn consume(name: &str) -> anyhow::Result<basic::Consume> {
    Ok(basic::Consume {
        queue: QueueName::new(name)?,
        consumer_tag: ConsumerTag::new("t")?,
        ..basic::Consume::default()
    })
}

fn exclusive(queue: QueueName) -> queue::Declare {
    queue::Declare {
        queue,
        exclusive: true,
        ..queue::Declare::default()
    }
}

fn durable(name: &str) -> anyhow::Result<queue::Declare> {
    Ok(queue::Declare {
        queue: QueueName::new(name)?,
        durable: true,
        no_wait: true,
        ..queue::Declare::default()
    })
}

fn declare(client: &mut Client, name: &str) -> anyhow::Result<u32> {
    let declare = queue::Declare {
        queue: QueueName::new(name)?,
        ..queue::Declare::default()
    };
    match client.call(1, &declare)? {
        Method::Queue(queue::Method::DeclareOk(ok)) => Ok(ok.message_count),
        other => bail!("{other:?}"),
    }
}

#[test]
fn clients_leave_files_for_the_store() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut first = broker.connect()?;
    first.open(1)?;
    let pid = Pid::from_raw(i32::try_from(broker.pid()?)?);
    let limit = Rlimit {
        current: Some(120),
        maximum: Some(120),
    };
    prlimit(pid, Resource::Nofile, limit)?;
    let mut others = Vec::new();
    loop {
        if others.len() > 120 {
            bail!("nobody was refused");
        }
        match broker.connect() {
            Ok(client) => others.push(client),
            Err(error) => {
                broker.logged("too many files are open")?;
                println!("{} connections, then: {error}", others.len());
                break;
            }
        }
    }
    // The one that is there is served, and the next one as soon as another has gone.
    declare(&mut first, "q")?;
    drop(others);
    let begun = Instant::now();
    while let Err(error) = broker.connect() {
        if begun.elapsed() > PATIENCE {
            return Err(error);
        }
    }
    Ok(())
}
