//! Events: what is created, deleted, opened and closed, for whoever binds to `amq.rabbitmq.event`. Keys and headers are RabbitMQ's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amphora_core::binding::Binding;
use amphora_core::definition::{ExchangeDefinition, QueueDefinition};
use amphora_core::exchange::ExchangeType;
use amphora_core::topology::{Change, Changes, INTERNAL_USER, Topology};
use amphora_protocol::wire::properties::BasicProperties;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, ShortString, VhostName};
use bytes::Bytes;

use super::{Announcement, Announcer, owned};
use crate::runtime::batch::Owned;
use crate::runtime::timers::now_ms;
use crate::runtime::vhost::Handle;

/// The exchange's name.
const EVENT_EXCHANGE: &str = "amq.rabbitmq.event";

/// The events of all virtual hosts, which go to the exchange of one.
#[derive(Debug)]
pub(in crate::runtime) struct Events {
    vhost: Option<VhostName>,
    /// Somebody is bound to the exchange.
    wanted: AtomicBool,
    /// Publishers are blocked, as far as was told.
    alarmed: AtomicBool,
    announcer: Arc<Announcer>,
}

impl Events {
    /// `vhost` is the one that has the exchange; without one there are no events.
    pub(in crate::runtime) fn new(vhost: Option<VhostName>, announcer: Arc<Announcer>) -> Self {
        Self {
            vhost,
            wanted: AtomicBool::new(false),
            alarmed: AtomicBool::new(false),
            announcer,
        }
    }

    /// The event exchange, if it belongs to this virtual host.
    pub(in crate::runtime) fn exchange(&self, vhost: &VhostName) -> Option<ExchangeDefinition> {
        (self.vhost.as_ref() == Some(vhost)).then(|| ExchangeDefinition {
            name: ExchangeName::new(EVENT_EXCHANGE).unwrap_or_default(),
            exchange_type: ExchangeType::Topic,
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: FieldTable::new(),
            declared_by: INTERNAL_USER.into(),
        })
    }

    /// Takes note of whether somebody is bound to the exchange: when the virtual host comes to be, and with every change of its bindings.
    pub(in crate::runtime) fn look(&self, topology: &Topology<Handle>) {
        if self.vhost.as_ref() == Some(topology.vhost()) {
            let wanted = !topology.bindings_by_source(EVENT_EXCHANGE).is_empty();
            self.wanted.store(wanted, Ordering::Relaxed);
        }
    }

    /// Something happened. `fields` is asked only if somebody wants to know.
    pub(in crate::runtime) fn emit(&self, key: &str, fields: impl FnOnce() -> Fields) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let Some(vhost) = self.vhost.clone() else {
            return;
        };
        let Fields(headers) = fields();
        let mut encoded = Vec::new();
        headers.encode(&mut encoded);
        let bytes = key.len() + encoded.len();
        let event = Announcement::Event {
            vhost,
            key: key.to_owned(),
            headers,
            time_ms: now_ms(),
        };
        self.announcer.send(event, bytes);
    }

    /// Takes note of why publishers are blocked now, and tells of a change.
    pub(in crate::runtime) fn alarm(&self, reason: Option<&str>) {
        let alarmed = reason.is_some();
        if self.alarmed.load(Ordering::Relaxed) == alarmed
            || self.alarmed.swap(alarmed, Ordering::Relaxed) == alarmed
        {
            return;
        }
        let key = if alarmed {
            "alarm.set"
        } else {
            "alarm.cleared"
        };
        self.emit(key, || {
            Fields::default().text("reason", reason.unwrap_or_default())
        });
    }

    /// What a change of the topology comes to. `by` is the user who asked for it.
    pub(in crate::runtime) fn follow(
        &self,
        topology: &Topology<Handle>,
        changes: &Changes,
        by: &str,
    ) {
        let concerns = |binding: &Binding| *binding.source == *EVENT_EXCHANGE;
        let bindings = changes.0.iter().any(|change| match change {
            Change::BindingCreated { binding, .. } | Change::BindingDeleted { binding, .. } => {
                concerns(binding)
            }
            _ => false,
        });
        if bindings {
            self.look(topology);
        }
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        let vhost = topology.vhost();
        for change in &changes.0 {
            let (key, fields) = match change {
                Change::ExchangeCreated(exchange) => ("exchange.created", created(exchange)),
                Change::ExchangeDeleted(exchange) => {
                    let fields = Fields::default().text("name", &exchange.name);
                    ("exchange.deleted", fields)
                }
                Change::QueueCreated(queue) => ("queue.created", queue_created(queue)),
                Change::QueueDeleted(queue) => {
                    let fields = Fields::default().text("name", &queue.name);
                    let queue_type = queue.parsed.queue_type.module();
                    ("queue.deleted", fields.text("type", queue_type))
                }
                Change::BindingCreated { binding, .. } => ("binding.created", bound(binding)),
                Change::BindingDeleted { binding, .. } => ("binding.deleted", bound(binding)),
            };
            self.emit(key, || fields.text("vhost", vhost).by(by));
        }
    }
}

fn created(exchange: &ExchangeDefinition) -> Fields {
    Fields::default()
        .text("name", &exchange.name)
        .text("type", exchange.exchange_type.name())
        .flag("durable", exchange.durable)
        .flag("auto_delete", exchange.auto_delete)
        .flag("internal", exchange.internal)
        .table("arguments", exchange.arguments.clone())
}

fn queue_created(queue: &QueueDefinition) -> Fields {
    Fields::default()
        .text("name", &queue.name)
        .text("type", queue.parsed.queue_type.module())
        .flag("durable", queue.durable)
        .flag("auto_delete", queue.auto_delete)
        .flag("exclusive", queue.owner.is_some())
        .table("arguments", queue.arguments.clone())
}

fn bound(binding: &Binding) -> Fields {
    Fields::default()
        .text("source_name", &binding.source)
        .text("source_kind", "exchange")
        .text("destination_name", binding.destination.name())
        .text("destination_kind", binding.destination.kind())
        .text("routing_key", &binding.routing_key)
        .table("arguments", binding.arguments.table().clone())
}

/// The headers of an event.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Fields(FieldTable);

impl Fields {
    pub(in crate::runtime) fn text(self, name: &str, value: &str) -> Self {
        self.with(name, value.into())
    }

    pub(in crate::runtime) fn flag(self, name: &str, value: bool) -> Self {
        self.with(name, FieldValue::Bool(value))
    }

    pub(in crate::runtime) fn number(self, name: &str, value: u64) -> Self {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.with(name, FieldValue::I64(value))
    }

    pub(in crate::runtime) fn table(self, name: &str, value: FieldTable) -> Self {
        self.with(name, FieldValue::Table(value))
    }

    pub(in crate::runtime) fn texts(self, name: &str, values: &[String]) -> Self {
        let values = values.iter().map(|value| value.as_str().into());
        self.with(name, FieldValue::Array(values.collect()))
    }

    /// Who did it.
    pub(in crate::runtime) fn by(self, user: &str) -> Self {
        self.text("user_who_performed_action", user)
    }

    pub(in crate::runtime) fn with(mut self, name: &str, value: FieldValue) -> Self {
        self.0.insert(ShortString::cut(name), value);
        self
    }
}

/// An event has no body.
pub(super) fn message(key: &str, headers: FieldTable, time_ms: u64) -> Owned {
    let Fields(headers) = Fields(headers).number("timestamp_in_ms", time_ms);
    let properties = BasicProperties {
        headers: Some(headers),
        delivery_mode: Some(2),
        timestamp: Some(time_ms / 1000),
        ..BasicProperties::default()
    };
    owned(EVENT_EXCHANGE, key, &properties, Bytes::new())
}
