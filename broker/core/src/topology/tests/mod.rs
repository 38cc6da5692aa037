//! Scripts of commands and what comes of them.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expect-test writes them when it updates a transcript"
)]

mod declare;
mod exchange_types;
mod explain;
mod listing;
mod model;
mod plugin;
mod policy;
mod recover;
mod route;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use amphora_protocol::exception::{ChannelException, Exception};
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, ShortString, VhostName};
use bytes::Bytes;
use expect_test::Expect;

use super::{
    Change, Changes, ConnectionId, Declared, ExchangeDeclaration, QueueDeclaration,
    RecoveryProblem, Topology,
};
use crate::binding::{Binding, Destination};
use crate::definition::{Definition, QueueDefinition};
use crate::hook::NoHooks;
use crate::policy::Policies;
use crate::route::{Routed, Varies};
use crate::store::{QueueId, Write};

/// Runs a script in a new virtual host `/`; every line is followed by what it changed or why it was refused.
///
/// ```text
/// exchange x topic durable alternate-exchange=y     queue q exclusive x-max-length=5
/// bind x q key a=1                                  bind x >y key       (to an exchange)
/// publish x key,cc a=1                              as 2 bind x q key   (on connection 2)
/// ```
/// A value is a number, a text, or `type:value` with the tag of the wire.
fn check(script: &str, expected: &Expect) {
    let mut world = World::new();
    let mut transcript = String::new();
    for line in lines(script) {
        writeln!(transcript, "{line}").expect("a string grows");
        for answer in world.run(line) {
            writeln!(transcript, "    {answer}").expect("a string grows");
        }
    }
    expected.assert_eq(&transcript);
}

/// A virtual host whose queues' handles are their names.
struct World {
    topology: Topology<String>,
    routed: Routed<String>,
    next_queue: u32,
    asker: ConnectionId,
    /// What a store would hold.
    stored: BTreeMap<Bytes, Bytes>,
}

impl World {
    fn new() -> Self {
        Self {
            topology: Topology::new(
                VhostName::new("/").expect("short"),
                Arc::new(plugin::Backwards),
            ),
            routed: Routed::default(),
            next_queue: 1,
            asker: ConnectionId(1),
            stored: BTreeMap::new(),
        }
    }

    /// What a script leaves behind.
    fn after(script: &str) -> Self {
        let mut world = Self::new();
        for line in lines(script) {
            world.run(line);
        }
        world
    }

    fn run(&mut self, line: &str) -> Vec<String> {
        let mut words: Vec<&str> = line.split(' ').collect();
        self.asker = ConnectionId(1);
        if words.first() == Some(&"as") {
            self.asker = ConnectionId(words[1].parse().expect("a connection's number"));
            words.drain(..2);
        }
        let answer = match words[0] {
            "exchange" => self.declare_exchange(&words),
            "queue" => self.declare_queue(&words),
            "bind" => self.topology.bind(binding(&words), self.asker),
            "unbind" => self.topology.unbind(&binding(&words), self.asker),
            "delete-exchange" => self
                .topology
                .delete_exchange(unquoted(words[1]), words.contains(&"if-unused")),
            "delete-queue" => Ok(self
                .topology
                .remove_queue(words[1])
                .map(|(_, changes)| changes)
                .unwrap_or_default()),
            "find" => self
                .topology
                .find_queue(words[1], self.asker)
                .map(|_| Changes::default()),
            "publish" => return vec![self.publish(&words)],
            other => panic!("no such command: {other}"),
        };
        match answer {
            Ok(changes) if changes.is_empty() => vec!["nothing changed".to_owned()],
            Ok(changes) => {
                self.store(&changes);
                changes.0.iter().map(describe).collect()
            }
            Err(exception) => vec![exception.to_string()],
        }
    }

    fn store(&mut self, changes: &Changes) {
        for write in changes.writes(self.topology.vhost()) {
            match write {
                Write::PutDefinition { key, value } => {
                    assert!(
                        self.stored.insert(key, value).is_none(),
                        "stored twice: {changes:?}"
                    );
                }
                Write::DeleteDefinition { key } => {
                    assert!(
                        self.stored.remove(&key).is_some(),
                        "deleted but never stored: {changes:?}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The virtual host as it is after a restart.
    fn restarted(&self) -> (Topology<String>, Vec<RecoveryProblem>) {
        // From the end: the order in which definitions come back must not matter.
        let definitions = self.stored.iter().rev();
        let definitions =
            definitions.map(|(key, value)| Definition::decode(key, value).expect("undamaged"));
        let vhost = self.topology.vhost().clone();
        Topology::recover(
            vhost,
            Arc::new(NoHooks),
            Policies::default(),
            definitions,
            |queue, _| queue.name.to_string(),
        )
    }

    fn declare_exchange(&mut self, words: &[&str]) -> Result<Changes, ChannelException> {
        self.topology.declare_exchange(ExchangeDeclaration {
            name: ExchangeName::new(unquoted(words[1])).expect("short"),
            exchange_type: ShortString::new(unquoted(words[2])).expect("short"),
            passive: words.contains(&"passive"),
            durable: words.contains(&"durable"),
            auto_delete: words.contains(&"auto-delete"),
            internal: words.contains(&"internal"),
            arguments: table(words),
            by: "guest".into(),
        })
    }

    fn declare_queue(&mut self, words: &[&str]) -> Result<Changes, ChannelException> {
        let declaration = QueueDeclaration {
            name: QueueName::new(unquoted(words[1])).expect("short"),
            server_named: words.contains(&"server-named"),
            passive: words.contains(&"passive"),
            durable: words.contains(&"durable"),
            exclusive: words.contains(&"exclusive"),
            auto_delete: words.contains(&"auto-delete"),
            arguments: table(words),
            by: "guest".into(),
        };
        match self.topology.check_queue(&declaration, self.asker)? {
            Declared::Exists(_) => Ok(Changes::default()),
            Declared::Absent(parsed) => {
                let id = QueueId(self.next_queue);
                self.next_queue += 1;
                let definition = QueueDefinition::new(id, declaration, *parsed, self.asker);
                let handle = definition.name.to_string();
                Ok(self.topology.insert_queue(Arc::new(definition), handle))
            }
        }
    }

    fn publish(&mut self, words: &[&str]) -> String {
        let keys: Vec<&str> = unquoted(words[2]).split(',').collect();
        match self
            .topology
            .route(unquoted(words[1]), &keys, &table(words), &mut self.routed)
        {
            Err(Exception::Channel(exception)) => exception.to_string(),
            Err(other) => panic!("{other}"),
            Ok(()) => {
                plugin::ask(self, &keys);
                self.routed.queues.sort_unstable();
                let to = if self.routed.queues.is_empty() {
                    "unroutable".to_owned()
                } else {
                    self.routed.queues.join(" ")
                };
                let varies = match self.routed.varies {
                    Varies::Never => "",
                    Varies::WithProperties => " (varies with properties)",
                    Varies::Always => " (varies)",
                };
                let delayed = self.routed.delayed.iter().map(|delayed| {
                    format!(
                        ", waits {} ms at {}",
                        delayed.delay_ms, delayed.exchange.name
                    )
                });
                let remembered = self.routed.remembered.iter();
                let remembered = remembered.map(|exchange| format!(", kept by {}", exchange.name));
                to + varies + &delayed.chain(remembered).collect::<String>()
            }
        }
    }
}

fn lines(script: &str) -> impl Iterator<Item = &str> {
    script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
}

fn binding(words: &[&str]) -> Binding {
    let destination = match words[2].strip_prefix('>') {
        Some(exchange) => {
            Destination::Exchange(ExchangeName::new(unquoted(exchange)).expect("short"))
        }
        None => Destination::Queue(QueueName::new(words[2]).expect("short")),
    };
    Binding {
        source: ExchangeName::new(unquoted(words[1])).expect("short"),
        destination,
        routing_key: RoutingKey::new(unquoted(words.get(3).copied().unwrap_or_default()))
            .expect("short"),
        arguments: table(words).into(),
    }
}

fn unquoted(word: &str) -> &str {
    if word == "''" { "" } else { word }
}

fn table(words: &[&str]) -> FieldTable {
    let fields = words.iter().filter_map(|word| word.split_once('='));
    fields
        .map(|(name, value)| (ShortString::new(name).expect("short"), value_of(value)))
        .collect()
}

fn value_of(text: &str) -> FieldValue {
    if let Ok(number) = text.parse::<i32>() {
        return number.into();
    }
    match text.split_once(':') {
        Some(("b", value)) => FieldValue::I8(value.parse().expect("a byte")),
        Some(("l", value)) => FieldValue::I64(value.parse().expect("a long")),
        Some(("f", value)) => FieldValue::F32(value.parse().expect("a float")),
        Some(("d", value)) => FieldValue::F64(value.parse().expect("a double")),
        Some(("t", value)) => FieldValue::Bool(value.parse().expect("a boolean")),
        Some(("S", value)) => value.into(),
        Some(("V", _)) => FieldValue::Void,
        _ => text.into(),
    }
}

fn describe(change: &Change) -> String {
    let durable = |durable: bool| if durable { ", durable" } else { "" };
    match change {
        Change::ExchangeCreated(exchange) => {
            format!("+ exchange {}{}", exchange.name, durable(exchange.durable))
        }
        Change::ExchangeDeleted(exchange) => {
            format!("- exchange {}{}", exchange.name, durable(exchange.durable))
        }
        Change::QueueCreated(queue) => format!("+ queue {}{}", queue.name, durable(queue.durable)),
        Change::QueueDeleted(queue) => format!("- queue {}{}", queue.name, durable(queue.durable)),
        Change::BindingCreated {
            binding,
            durable: is_durable,
            ..
        } => {
            format!("+ {}{}", arrow(binding), durable(*is_durable))
        }
        Change::BindingDeleted {
            binding,
            durable: is_durable,
            ..
        } => {
            format!("- {}{}", arrow(binding), durable(*is_durable))
        }
    }
}

fn arrow(binding: &Binding) -> String {
    let Binding {
        source,
        destination,
        routing_key,
        ..
    } = binding;
    let (kind, name) = (destination.kind(), destination.name());
    format!("binding '{source}' to {kind} {name} by '{routing_key}'")
}
