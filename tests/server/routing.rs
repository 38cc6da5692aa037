//! Messages that come in one batch, and whose ways are not all the same.

use std::collections::BTreeMap;

use amphora_protocol::wire::method::{Method, basic, confirm, exchange, queue};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString};
use amphora_tests::{Broker, Client};
use anyhow::bail;

const EXCHANGES: [&str; 3] = ["by-headers", "behind", "direct"];
const QUEUES: [&str; 3] = ["reports", "images", "copies"];

fn table(fields: &[(&str, FieldValue)]) -> anyhow::Result<FieldTable> {
    fields
        .iter()
        .map(|(name, value)| Ok((ShortString::new(*name)?, value.clone())))
        .collect()
}

fn bind(client: &mut Client, queue: &str, exchange: &str, kind: &str) -> anyhow::Result<()> {
    let bind = queue::Bind {
        queue: QueueName::new(queue)?,
        exchange: ExchangeName::new(exchange)?,
        routing_key: RoutingKey::new(kind)?,
        arguments: table(&[("kind", kind.into())])?,
        ..queue::Bind::default()
    };
    client.call(1, &bind)?;
    Ok(())
}

/// `by-headers` has queues by the header `kind`, `behind` leads to it by an exchange in between, `direct` has them by routing key.
fn declare(client: &mut Client) -> anyhow::Result<()> {
    for (exchange, kind) in EXCHANGES.into_iter().zip(["headers", "fanout", "direct"]) {
        client.call(
            1,
            &exchange::Declare {
                exchange: ExchangeName::new(exchange)?,
                kind: ShortString::new(kind)?,
                ..exchange::Declare::default()
            },
        )?;
    }
    client.call(
        1,
        &exchange::Bind {
            source: ExchangeName::new("behind")?,
            destination: ExchangeName::new("by-headers")?,
            ..exchange::Bind::default()
        },
    )?;
    for queue in QUEUES {
        client.call(
            1,
            &queue::Declare {
                queue: QueueName::new(queue)?,
                ..queue::Declare::default()
            },
        )?;
    }
    for exchange in ["by-headers", "direct"] {
        bind(client, "reports", exchange, "report")?;
        bind(client, "images", exchange, "image")?;
    }
    bind(client, "copies", "direct", "copy")
}

/// What is published is small, and each of these is published in runs of random length.
#[derive(Clone, Copy, Debug)]
struct Sent {
    exchange: &'static str,
    /// What is in the header `kind`; `None` has no headers.
    kind: Option<&'static str>,
    routing_key: &'static str,
    /// Named in the header `CC`.
    copy: bool,
}

impl Sent {
    fn properties(self) -> anyhow::Result<BasicProperties> {
        let mut fields: Vec<(&str, FieldValue)> = Vec::new();
        fields.extend(self.kind.map(|kind| ("kind", kind.into())));
        if self.copy {
            fields.push(("CC", FieldValue::Array(vec!["copy".into()])));
        }
        Ok(BasicProperties {
            headers: (!fields.is_empty()).then(|| table(&fields)).transpose()?,
            ..BasicProperties::default()
        })
    }

    /// Where it belongs.
    fn queues(self) -> Vec<&'static str> {
        let by = |word| match word {
            "report" => Some("reports"),
            "image" => Some("images"),
            _ => None,
        };
        if self.exchange == "direct" {
            let copies = self.copy.then_some("copies");
            by(self.routing_key).into_iter().chain(copies).collect()
        } else {
            self.kind.and_then(by).into_iter().collect()
        }
    }
}

/// A sequence that is the same in each run: a linear congruential generator.
fn runs() -> impl Iterator<Item = Sent> {
    let mut state = 1_u64;
    let mut pick = move |count: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % count
    };
    (0..1500).flat_map(move |_| {
        let sent = Sent {
            exchange: EXCHANGES[pick(3)],
            kind: [None, Some("report"), Some("image"), Some("letter")][pick(4)],
            routing_key: ["report", "image", "other"][pick(3)],
            copy: pick(5) == 0,
        };
        std::iter::repeat_n(sent, 1 + pick(4))
    })
}

#[test]
fn each_message_goes_where_its_own_headers_and_key_lead() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut client = broker.connect()?;
    client.open(1)?;
    declare(&mut client)?;
    client.call(1, &confirm::Select { no_wait: false })?;
    let mut expected: BTreeMap<&str, Vec<u32>> =
        QUEUES.iter().map(|queue| (*queue, Vec::new())).collect();
    let mut bytes = Vec::new();
    let mut count = 0_u32;
    for sent in runs() {
        let publish = basic::Publish {
            exchange: ExchangeName::new(sent.exchange)?,
            routing_key: RoutingKey::new(sent.routing_key)?,
            ..basic::Publish::default()
        };
        let body = count.to_be_bytes();
        client.write_publish(1, &publish, &sent.properties()?, &body, &mut bytes);
        for queue in sent.queues() {
            expected.entry(queue).or_default().push(count);
        }
        count += 1;
    }
    client.write(&bytes)?;
    loop {
        match client.method(1)? {
            Method::Basic(basic::Method::Ack(ack)) if ack.delivery_tag.0 == u64::from(count) => {
                break;
            }
            Method::Basic(basic::Method::Ack(_)) => {}
            other => bail!("{other:?} where a confirm belongs"),
        }
    }
    for (queue, expected) in expected {
        assert_eq!(drained(&mut client, queue)?, expected, "{queue}");
    }
    Ok(())
}

/// All that waits in the queue.
fn drained(client: &mut Client, queue: &str) -> anyhow::Result<Vec<u32>> {
    let get = basic::Get {
        queue: QueueName::new(queue)?,
        no_ack: true,
    };
    let mut numbers = Vec::new();
    loop {
        client.send(1, &get)?;
        match client.method(1)? {
            Method::Basic(basic::Method::GetEmpty(_)) => return Ok(numbers),
            Method::Basic(method) => {
                let message = client.rest_of_message(1, method)?;
                let body = message.body.as_slice().try_into()?;
                numbers.push(u32::from_be_bytes(body));
            }
            other => bail!("{other:?} where a message belongs"),
        }
    }
}
