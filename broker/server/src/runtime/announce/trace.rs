//! The firehose: a copy of each message that is published or delivered in a virtual host, to `amq.rabbitmq.trace`. Keys and headers are
//! RabbitMQ's. It is off after a restart, as there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amphora_core::message::Delivery;
use amphora_protocol::wire::properties::{BasicProperties, RawProperties};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ChannelNumber, ShortString, VhostName};

use super::{Announcement, Announcer, owned};
use crate::runtime::batch::Owned;
use crate::runtime::broker::Broker;
use crate::runtime::ingress::names;
use crate::runtime::special::BCC;

const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";

/// Where the messages of one virtual host can be overheard.
#[derive(Debug)]
pub(in crate::runtime) struct Tap {
    on: AtomicBool,
    vhost: VhostName,
    announcer: Arc<Announcer>,
}

/// A message that was overheard.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) vhost: VhostName,
    what: What,
    who: Who,
    message: Owned,
}

/// Who has published a message, or gets it.
#[derive(Debug)]
pub(in crate::runtime) enum Who {
    /// A connection, on this channel.
    Connection(u64, ChannelNumber),
    /// A user of the management API.
    Api(Arc<str>),
}

#[derive(Debug)]
enum What {
    Published { routed_queues: Vec<String> },
    Delivered { queue: String, redelivered: bool },
}

impl Tap {
    /// Off.
    pub(in crate::runtime) fn new(vhost: VhostName, announcer: Arc<Announcer>) -> Arc<Self> {
        Arc::new(Self {
            on: AtomicBool::new(false),
            vhost,
            announcer,
        })
    }

    pub(in crate::runtime) fn vhost(&self) -> &VhostName {
        &self.vhost
    }

    #[inline]
    pub(in crate::runtime) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Turns it on or off.
    pub(in crate::runtime) fn turn(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// A message was published, and went to these queues.
    pub(in crate::runtime) fn published(
        &self,
        who: Who,
        message: Owned,
        routed_queues: Vec<String>,
    ) {
        self.trace(who, message, What::Published { routed_queues });
    }

    /// Somebody is given a message of a queue.
    pub(in crate::runtime) fn delivered(&self, who: Who, queue: &str, delivery: &Delivery<'_>) {
        let what = What::Delivered {
            queue: queue.to_owned(),
            redelivered: delivery.redelivered,
        };
        self.trace(who, delivery.message.into(), what);
    }

    fn trace(&self, who: Who, message: Owned, what: What) {
        // Who listens to the firehose is not told of that.
        if names(&message.target).is_ok_and(|(exchange, _)| exchange == TRACE_EXCHANGE) {
            return;
        }
        let bytes = message.properties.len() + message.body.len();
        let traced = Box::new(Traced {
            vhost: self.vhost.clone(),
            what,
            who,
            message,
        });
        self.announcer.send(Announcement::Traced(traced), bytes);
    }
}

impl Who {
    /// The name of the connection, the channel and the user. RabbitMQ's management API has connections within the broker, which are named by
    /// their node and process, and channel 1 of each; here, the node's name is what tells them from clients.
    fn shown(&self, broker: &Broker) -> (Arc<str>, ChannelNumber, Arc<str>) {
        match self {
            Self::Connection(id, channel) => {
                let connection = broker.connection(*id);
                let (name, user) = connection.map_or_else(
                    || ("unknown".into(), "unknown".into()),
                    |connection| (Arc::clone(&connection.name), connection.user()),
                );
                (name, *channel, user)
            }
            Self::Api(user) => {
                let name = format!("<{}>", broker.node);
                (name.into(), ChannelNumber(1), Arc::clone(user))
            }
        }
    }
}

impl Traced {
    /// The message as it goes to the exchange.
    pub(super) fn message(self, broker: &Broker) -> Owned {
        let (name, channel, user) = self.who.shown(broker);
        let (exchange, key) = names(&self.message.target).unwrap_or_default();
        let raw = RawProperties::new(&self.message.properties).unwrap_or_default();
        let mut properties = raw.decode().unwrap_or_default();
        let mut headers = Headers::default();
        headers.set("exchange_name", exchange.into());
        headers.set("routing_keys", routing_keys(key, &properties));
        if let Some(own) = &mut properties.headers {
            own.remove(BCC);
        }
        headers.set("properties", FieldValue::Table(shown(&properties)));
        headers.set("node", broker.node.as_str().into());
        let key = match self.what {
            What::Published { routed_queues } => {
                let queues = routed_queues.into_iter().map(FieldValue::from);
                headers.set("routed_queues", FieldValue::Array(queues.collect()));
                format!("publish.{exchange}")
            }
            What::Delivered { queue, redelivered } => {
                headers.set("redelivered", FieldValue::I32(redelivered.into()));
                format!("deliver.{queue}")
            }
        };
        headers.set("vhost", self.vhost.as_str().into());
        headers.set("connection", (&*name).into());
        headers.set("channel", FieldValue::I32(channel.0.into()));
        headers.set("user", (&*user).into());
        let properties = BasicProperties {
            headers: Some(headers.0),
            ..BasicProperties::default()
        };
        owned(TRACE_EXCHANGE, &key, &properties, self.message.body)
    }
}

#[derive(Default)]
struct Headers(FieldTable);

impl Headers {
    fn set(&mut self, name: &str, value: FieldValue) {
        self.0.insert(ShortString::cut(name), value);
    }
}

/// The message's own key, and those of its CC and BCC headers: as in RabbitMQ, who listens to the firehose sees whom else a message goes to.
fn routing_keys(key: &str, properties: &BasicProperties) -> FieldValue {
    let headers = properties.headers.as_ref();
    let copies = |name| headers.and_then(|headers| headers.get(name)?.as_array());
    let copies = ["CC", BCC].into_iter().filter_map(copies).flatten();
    let texts = copies.filter(|key| key.as_str().is_some()).cloned();
    FieldValue::Array(
        std::iter::once(FieldValue::from(key))
            .chain(texts)
            .collect(),
    )
}

/// The properties that are there, by their names.
fn shown(properties: &BasicProperties) -> FieldTable {
    let mut shown = Headers::default();
    let number = |number: u8| FieldValue::I32(number.into());
    for (name, text) in [
        ("content_type", &properties.content_type),
        ("content_encoding", &properties.content_encoding),
        ("correlation_id", &properties.correlation_id),
        ("reply_to", &properties.reply_to),
        ("expiration", &properties.expiration),
        ("message_id", &properties.message_id),
        ("type", &properties.kind),
        ("user_id", &properties.user_id),
        ("app_id", &properties.app_id),
        ("cluster_id", &properties.cluster_id),
    ] {
        if let Some(text) = text {
            shown.set(name, text.as_str().into());
        }
    }
    if let Some(headers) = &properties.headers {
        shown.set("headers", FieldValue::Table(headers.clone()));
    }
    if let Some(mode) = properties.delivery_mode {
        shown.set("delivery_mode", number(mode));
    }
    if let Some(priority) = properties.priority {
        shown.set("priority", number(priority));
    }
    if let Some(seconds) = properties.timestamp {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        shown.set("timestamp", FieldValue::I64(seconds));
    }
    shown.0
}
