//! Messages on their way to queues, while the topology changes and when the queues are many.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use amphora_protocol::connection::{Content, Publish};
use amphora_protocol::wire::frame;
use amphora_protocol::wire::method::{basic, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{
    ChannelNumber, ExchangeName, QueueName, RoutingKey, ShortString,
};
use anyhow::{Context, ensure};

use super::client::Client;
use super::{World, confirming, consume};
use crate::runtime::batch;
use crate::runtime::ingress::{Ingress, Ticket};
use crate::runtime::peer::Touched;

fn bind(client: &mut Client, queue: &str, exchange: &str, key: &str) -> anyhow::Result<()> {
    client.send(
        1,
        &queue::Bind {
            queue: QueueName::new(queue)?,
            exchange: ExchangeName::new(exchange)?,
            routing_key: RoutingKey::new(key)?,
            ..queue::Bind::default()
        },
    )?;
    client.expect("queue.bind-ok")
}

#[test]
fn targets_that_take_turns_follow_changes_of_the_topology() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut publisher = world.client("q1")?;
    let mut operator = world.client("q2")?;
    world.client("q3")?;
    for (queue, key) in [("q1", "a"), ("q2", "a"), ("q3", "b")] {
        bind(&mut operator, queue, "amq.direct", key)?;
    }
    let mut publish = |round: &str| {
        let bodies = ["a1", "b1", "a2", "b2"].map(|name| format!("{name} {round}"));
        let messages = bodies.each_ref().map(|body| (&body[..1], body.as_bytes()));
        publisher.publish_together("amq.direct", &messages)?;
        // It is answered when they are in their queues.
        publisher.send(
            1,
            &queue::Declare {
                queue: QueueName::new("q3")?,
                passive: true,
                ..queue::Declare::default()
            },
        )?;
        publisher.expect("queue.declare-ok")
    };
    publish("before")?;
    operator.send(
        1,
        &queue::Unbind {
            queue: QueueName::new("q2")?,
            exchange: ExchangeName::new("amq.direct")?,
            routing_key: RoutingKey::new("a")?,
            ..queue::Unbind::default()
        },
    )?;
    operator.expect("queue.unbind-ok")?;
    bind(&mut operator, "q2", "amq.direct", "b")?;
    publish("bound")?;
    operator.send(
        1,
        &queue::Delete {
            queue: QueueName::new("q1")?,
            ..queue::Delete::default()
        },
    )?;
    operator.expect("queue.delete-ok")?;
    bind(&mut operator, "q3", "amq.direct", "a")?;
    publish("deleted")?;
    let mut expected = BTreeMap::new();
    expected.insert(
        "q2",
        "a1 before,a2 before,b1 bound,b2 bound,b1 deleted,b2 deleted",
    );
    expected.insert(
        "q3",
        "b1 before,b2 before,b1 bound,b2 bound,a1 deleted,b1 deleted,a2 deleted,b2 deleted",
    );
    for (queue, expected) in expected {
        let mut consumer = Client::connect(world.address)?;
        consume(&mut consumer, queue)?;
        let mut bodies = Vec::new();
        for _ in expected.split(',') {
            let body = consumer.body_within(Duration::from_secs(30))?;
            bodies.push(String::from_utf8(body.context("too few messages")?)?);
        }
        consumer.nothing_for(Duration::from_millis(300))?;
        ensure!(bodies.join(",") == expected, "{queue}: {bodies:?}");
    }
    Ok(())
}

/// The queue that a message goes to, by its exchange, routing key and kind.
const WAYS: [(&str, &str, &str, Option<&str>); 14] = [
    ("amq.headers", "", "a", Some("q1")),
    ("amq.headers", "", "b", Some("q2")),
    ("amq.headers", "", "none", None),
    ("amq.headers", "key", "a", Some("q1")),
    ("amq.headers", "key", "c", None),
    ("amq.match", "", "a", Some("q2")),
    ("amq.match", "", "b", Some("q1")),
    // Some keys of an exchange lead to one that looks at headers, and others do not.
    ("amq.direct", "plain", "a", Some("q1")),
    ("amq.direct", "plain", "b", Some("q1")),
    ("amq.direct", "further", "a", Some("q1")),
    ("amq.direct", "further", "b", Some("q2")),
    // So does the alternate exchange.
    ("x", "unbound", "a", Some("q2")),
    ("x", "unbound", "b", Some("q1")),
    ("x", "plain", "a", Some("q2")),
];

fn table(kind: &str) -> anyhow::Result<FieldTable> {
    let mut table = FieldTable::new();
    table.insert(ShortString::new("kind")?, kind);
    Ok(table)
}

fn bind_headers(
    operator: &mut Client,
    queue: &str,
    exchange: &str,
    kind: &str,
) -> anyhow::Result<()> {
    let bind = queue::Bind {
        queue: QueueName::new(queue)?,
        exchange: ExchangeName::new(exchange)?,
        arguments: table(kind)?,
        ..queue::Bind::default()
    };
    operator.send(1, &bind)?;
    operator.expect("queue.bind-ok")
}

fn declare_ways(operator: &mut Client) -> anyhow::Result<()> {
    bind_headers(operator, "q1", "amq.headers", "a")?;
    bind_headers(operator, "q2", "amq.headers", "b")?;
    bind_headers(operator, "q2", "amq.match", "a")?;
    bind_headers(operator, "q1", "amq.match", "b")?;
    let mut arguments = FieldTable::new();
    arguments.insert(ShortString::new("alternate-exchange")?, "amq.match");
    let declare = exchange::Declare {
        exchange: ExchangeName::new("x")?,
        kind: ShortString::new("direct")?,
        arguments,
        ..exchange::Declare::default()
    };
    operator.send(1, &declare)?;
    operator.expect("exchange.declare-ok")?;
    bind(operator, "q1", "amq.direct", "plain")?;
    bind(operator, "q2", "x", "plain")?;
    let further = exchange::Bind {
        destination: ExchangeName::new("amq.headers")?,
        source: ExchangeName::new("amq.direct")?,
        routing_key: RoutingKey::new("further")?,
        ..exchange::Bind::default()
    };
    operator.send(1, &further)?;
    operator.expect("exchange.bind-ok")
}

#[test]
fn headers_that_take_turns_lead_where_each_of_them_should() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut publisher = world.client("q1")?;
    confirming(&mut publisher)?;
    let mut operator = world.client("q2")?;
    declare_ways(&mut operator)?;
    let mut expected = BTreeMap::from([("q1", Vec::new()), ("q2", Vec::new())]);
    for round in ["before", "after"] {
        // All bodies are of one length, and some ways come twice, so that what differs may be the body only.
        let long = (0..2000usize).map(|number| (number / 2 * 5 + number / 31) % WAYS.len());
        // Each way is the last that was looked up when another one comes that is known, several times.
        let pairs = (0..WAYS.len() * WAYS.len()).map(|pair| (pair / WAYS.len(), pair % WAYS.len()));
        let short = pairs.flat_map(|(last, known)| [last, known, known, known]);
        let sent = (0..).zip(long.chain(short));
        let sent: Vec<_> = sent
            .map(|(number, way)| (WAYS[way], format!("{number:04} {round}")))
            .collect();
        let (long, short) = sent.split_at(2000);
        for burst in iter::once(long).chain(short.chunks(4)) {
            let mut messages = Vec::new();
            for ((exchange, key, kind, _), body) in burst {
                let headers = (*kind != "none").then(|| table(kind)).transpose()?;
                let properties = BasicProperties {
                    headers,
                    ..BasicProperties::default()
                };
                messages.push((*exchange, *key, properties, body.as_bytes()));
            }
            publisher.publish_all_together(&messages)?;
            publisher.confirmed(messages.len() as u64)?;
        }
        for ((_, _, kind, queue), body) in sent {
            let queue = queue.or((kind == "c" && round == "after").then_some("q2"));
            if let Some(bodies) = queue.and_then(|queue| expected.get_mut(queue)) {
                bodies.push(body);
            }
        }
        bind_headers(&mut operator, "q2", "amq.headers", "c")?;
    }
    for (queue, expected) in expected {
        let mut consumer = Client::connect(world.address)?;
        consume(&mut consumer, queue)?;
        for body in expected {
            let heard = consumer.body_within(Duration::from_secs(30))?;
            let heard = String::from_utf8(heard.context("too few messages")?)?;
            ensure!(heard == body, "{queue}: {heard} in place of {body}");
        }
        consumer.nothing_for(Duration::from_millis(300))?;
    }
    Ok(())
}

#[test]
fn messages_of_which_only_the_bodies_differ_keep_them_and_their_order() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut publisher = world.client("q1")?;
    world.client("q2")?;
    for queue in ["q1", "q2"] {
        bind(&mut publisher, queue, "amq.fanout", "")?;
    }
    // Runs of bodies of one length, and a key that interrupts some of them.
    let bodies: Vec<_> = (0..200usize)
        .map(|number| format!("{number:>width$}", width = number / 7))
        .collect();
    let messages: Vec<_> = (0usize..)
        .zip(&bodies)
        .map(|(number, body)| {
            let key = if number % 50 == 3 { "other" } else { "key" };
            (key, body.as_bytes())
        })
        .collect();
    publisher.publish_together("amq.fanout", &messages)?;
    for queue in ["q1", "q2"] {
        let mut consumer = Client::connect(world.address)?;
        consume(&mut consumer, queue)?;
        for (number, expected) in bodies.iter().enumerate() {
            let body = consumer.body_within(Duration::from_secs(30))?;
            let body = body.context("too few messages")?;
            ensure!(body == expected.as_bytes(), "{queue}: message {number}");
        }
        consumer.nothing_for(Duration::from_millis(300))?;
    }
    Ok(())
}

#[test]
fn what_is_collected_for_many_queues_is_handed_on_in_time() -> anyhow::Result<()> {
    const QUEUES: usize = 10;
    let world = World::new()?;
    let mut client = world.client("q0")?;
    for number in 0..QUEUES {
        let name = format!("q{number}");
        world.client(&name)?;
        bind(&mut client, &name, "amq.fanout", "")?;
    }
    let _inside = world.tasks.enter();
    let vhost = world.broker.broker.vhost("/").context("no vhost")?;
    let committer = &world.broker.broker.committer;
    let mut ingress = Ingress::new(vhost, "".into());
    let mut touched = Touched::default();
    // A message in the input: its target and its properties, of which it has none.
    let target = batch::target("amq.fanout", "");
    let buffer = [&target[..], &[0, 0]].concat();
    let (target, properties) = buffer.split_at(target.len());
    let content = Content::Inline {
        target,
        properties,
        body: &[],
    };
    let ticket = Ticket {
        channel: ChannelNumber(1),
        mandatory: false,
        confirm: false,
    };
    for alike in [false, true] {
        let mut collected = 0;
        while !ingress.is_due() {
            if !alike || !ingress.collect_alike(&buffer, &content) {
                ingress.collect(&buffer, content.clone(), ticket, |_, _, _| Ok(()))?;
                ingress.way();
            }
            collected += 1;
            ensure!(collected * QUEUES <= 100_000, "{collected} messages");
        }
        ingress.count_alike();
        ingress.flush(&buffer, &mut touched);
        touched.finish(committer);
        ensure!(!ingress.is_due());
    }
    Ok(())
}

#[test]
fn a_client_begins_with_what_is_much_before_all_queues_have_their_part() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut client = world.client("q1")?;
    world.client("q2")?;
    let mut consumer = Client::connect(world.address)?;
    for queue in ["q1", "q2"] {
        bind(&mut client, queue, "amq.fanout", "")?;
        consume(&mut consumer, queue)?;
    }
    world.rest()?;
    let _inside = world.tasks.enter();
    let mut ingress = Ingress::new(
        world.broker.broker.vhost("/").context("no vhost")?,
        "".into(),
    );
    // A message in the input: its target, its properties, of which it has none, and its body.
    let target = batch::target("amq.fanout", "");
    let buffer = [&target[..], &[0, 0], &[b'x'; 1000]].concat();
    let (target, rest) = buffer.split_at(target.len());
    let (properties, body) = rest.split_at(2);
    let content = Content::Inline {
        target,
        properties,
        body,
    };
    let ticket = Ticket {
        channel: ChannelNumber(1),
        mandatory: false,
        confirm: false,
    };
    for (count, is_much) in [(1, false), (100, true)] {
        for _ in 0..count {
            ingress.collect(&buffer, content.clone(), ticket, |_, _, _| Ok(()))?;
            ingress.way();
        }
        let committer = &world.broker.broker.committer;
        let mut touched = Touched::default();
        ingress.flush_in_steps(&buffer, &mut touched, |touched| {
            touched.write_large(committer);
        });
        let first = if is_much { count } else { 0 };
        for (part, expected) in [("first", first), ("second", 2 * count - first)] {
            for _ in 0..expected {
                let body = consumer.body_within(Duration::from_secs(30))?;
                ensure!(body.context(part)?.len() == 1000);
            }
            consumer.nothing_for(Duration::from_millis(300))?;
            touched.finish(committer);
        }
    }
    Ok(())
}

#[test]
fn repeats_are_collected_until_they_are_due_as_if_one_by_one() -> anyhow::Result<()> {
    const MESSAGES: usize = 20_000;
    let world = World::new()?;
    let mut client = world.client("q0")?;
    for number in 0..10 {
        let name = format!("q{number}");
        world.client(&name)?;
        bind(&mut client, &name, "amq.fanout", "")?;
    }
    let _inside = world.tasks.enter();
    // By the number of references, and by the bytes for few queues.
    for (exchange, key, size) in [("amq.fanout", "", 1), ("", "q0", 300)] {
        let publish = basic::Publish {
            exchange: ExchangeName::new(exchange)?,
            routing_key: RoutingKey::new(key)?,
            ..basic::Publish::default()
        };
        let mut one = Vec::new();
        frame::write_method_frame(ChannelNumber(1), &publish, &mut one);
        let (properties, body) = ([0, 0], vec![b'x'; size]);
        frame::write_content(ChannelNumber(1), &properties, &body, 131_072, &mut one);
        let buffer = one.repeat(MESSAGES);
        let mut ingress = Ingress::new(
            world.broker.broker.vhost("/").context("no vhost")?,
            "".into(),
        );
        let mut touched = Touched::default();
        let mut counts = Vec::new();
        for by_repeats in [false, true] {
            let mut count = 0;
            while !ingress.is_due() {
                let start = count * one.len();
                let publish = read(&buffer[start..], &batch::target(exchange, key), size)?;
                let ticket = Ticket {
                    channel: ChannelNumber(1),
                    mandatory: false,
                    confirm: false,
                };
                if count == 0 || !ingress.collect_alike(&buffer, &publish.content) {
                    ingress.collect(&buffer, publish.content.clone(), ticket, |_, _, _| Ok(()))?;
                    ingress.way();
                }
                count += 1;
                if by_repeats {
                    count += ingress.collect_repeats(&buffer, start, one.len(), &publish);
                    ensure!(ingress.is_due(), "{count} messages are not all");
                }
            }
            ingress.count_alike();
            ingress.flush(&buffer, &mut touched);
            touched.finish(&world.broker.broker.committer);
            counts.push(count);
        }
        ensure!(counts[0] == counts[1] && counts[0] > 1, "{counts:?}");
    }
    Ok(())
}

/// The publish at the beginning of the input, whose target and length of body are known.
fn read<'a>(input: &'a [u8], target: &[u8], size: usize) -> anyhow::Result<Publish<'a>> {
    // Before the target come the frame's head, class, method and a reserved field; after it the flags and an end, and before the properties the
    // next frame's head, class, weight and size.
    let (_, rest) = input.split_at(13);
    let (found, rest) = rest.split_at(target.len());
    ensure!(found == target);
    let (_, rest) = rest.split_at(2 + 19);
    let (properties, rest) = rest.split_at(2);
    let body = rest.get(8..8 + size).context("too short")?;
    Ok(Publish {
        channel: ChannelNumber(1),
        mandatory: false,
        content: Content::Inline {
            target: found,
            properties,
            body,
        },
    })
}
