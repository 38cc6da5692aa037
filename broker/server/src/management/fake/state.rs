//! What the fake broker holds, and what its commands do to that.

use std::collections::{BTreeMap, VecDeque};

use amphora_core::hook::Sending;
use amphora_protocol::exception::{ChannelException, Exception};
use amphora_protocol::wire::types::QueueName;

use crate::auth::{Access, Resource, VhostAccess};
use crate::config::Limits;
use crate::management::backend::{
    Bind, ChangeSettings, DeclareExchange, DeclareQueue, DeleteExchange, DeleteQueue, Get, Got,
    MoveMessages, Moved, Publish, Published, Settings, Settlement,
};
use crate::management::snapshot::{
    ConnectionSnapshot, Destination, NodeSnapshot, PluginSnapshot, RouteAlternate, RouteAnswer,
    RouteBinding, RouteExchange, RouteMessage, RouteOutcome, RouteQueue, RouteReport,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) exchanges: BTreeMap<String, DeclareExchange>,
    pub(super) queues: BTreeMap<String, Queue>,
    pub(super) bindings: Vec<Bind>,
    pub(super) connections: Vec<ConnectionSnapshot>,
    pub(super) closed: Vec<String>,
    pub(super) node: NodeSnapshot,
    pub(super) tracing: bool,
    pub(super) plugins: BTreeMap<String, PluginSnapshot>,
}

pub(super) struct Queue {
    pub(super) declared: DeclareQueue,
    pub(super) ready: VecDeque<Got>,
    pub(super) paused: bool,
}

type Outcome<T> = Result<T, Exception>;

pub(super) fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        log_level: "info".to_owned(),
        memory_mark: 1 << 30,
        disk_free_limit: 1 << 20,
    }
}

/// Any change is fine, but for levels other than one.
pub(super) fn change_settings(change: &ChangeSettings) -> Result<(), String> {
    match change.log_level.as_deref() {
        None | Some("debug") => Ok(()),
        Some(other) => Err(format!("{other:?} is no level")),
    }
}

impl State {
    pub(super) fn queue(&mut self, name: &str) -> Outcome<&mut Queue> {
        let missing = || ChannelException::not_found(format!("no queue '{name}' in vhost '/'"));
        Ok(self.queues.get_mut(name).ok_or_else(missing)?)
    }

    pub(super) fn exchange(&self, name: &str) -> Outcome<&DeclareExchange> {
        let missing = || ChannelException::not_found(format!("no exchange '{name}' in vhost '/'"));
        Ok(self.exchanges.get(name).ok_or_else(missing)?)
    }

    pub(super) fn declare_queue(
        &mut self,
        by: &VhostAccess,
        command: &DeclareQueue,
    ) -> Outcome<()> {
        by.check(Access::Configure, Resource::Queue(&command.name))?;
        let known = self.queues.entry(command.name.to_string());
        let queue = known.or_insert_with(|| Queue {
            declared: command.clone(),
            ready: VecDeque::new(),
            paused: false,
        });
        same(
            "durable",
            "queue",
            &command.name,
            command.durable,
            queue.declared.durable,
        )
    }

    pub(super) fn declare_exchange(
        &mut self,
        by: &VhostAccess,
        command: &DeclareExchange,
    ) -> Outcome<()> {
        by.check(Access::Configure, Resource::Exchange(&command.name))?;
        if !self.has_exchange_type(&command.kind) {
            let text = format!("unknown exchange type '{}'", command.kind);
            return Err(ChannelException::precondition_failed(text).into());
        }
        let known = self
            .exchanges
            .entry(command.name.to_string())
            .or_insert_with(|| command.clone());
        same(
            "durable",
            "exchange",
            &command.name,
            command.durable,
            known.durable,
        )
    }

    pub(super) fn delete_queue(&mut self, by: &VhostAccess, command: &DeleteQueue) -> Outcome<()> {
        by.check(Access::Configure, Resource::Queue(&command.name))?;
        if command.if_empty && !self.queue(&command.name)?.ready.is_empty() {
            let text = format!("queue '{}' in vhost '/' not empty", command.name);
            return Err(ChannelException::precondition_failed(text).into());
        }
        self.queues.remove(command.name.as_str());
        Ok(())
    }

    pub(super) fn delete_exchange(
        &mut self,
        by: &VhostAccess,
        command: &DeleteExchange,
    ) -> Outcome<()> {
        by.check(Access::Configure, Resource::Exchange(&command.name))?;
        if command.if_unused
            && self
                .bindings
                .iter()
                .any(|binding| binding.source == command.name)
        {
            let text = format!("exchange '{}' in vhost '/' in use", command.name);
            return Err(ChannelException::precondition_failed(text).into());
        }
        self.exchanges.remove(command.name.as_str());
        Ok(())
    }

    pub(super) fn bind(&mut self, by: &VhostAccess, command: Bind) -> Outcome<()> {
        by.check(Access::Read, Resource::Exchange(&command.source))?;
        self.exchange(&command.source)?;
        match &command.destination {
            Destination::Queue(name) => drop(self.queue(name)?),
            Destination::Exchange(name) => drop(self.exchange(name)?),
        }
        if !self.bindings.contains(&command) {
            self.bindings.push(command);
        }
        Ok(())
    }

    pub(super) fn queue_names(&self) -> Vec<QueueName> {
        let queues = self.queues.values();
        queues.map(|queue| queue.declared.name.clone()).collect()
    }

    /// Through the default exchange only.
    pub(super) fn move_messages(
        &mut self,
        by: &VhostAccess,
        command: &MoveMessages,
    ) -> Outcome<Moved> {
        by.check(Access::Read, Resource::Queue(&command.queue))?;
        let mut moved = Moved::default();
        while moved.count < command.count {
            let Some(mut message) = self.queue(&command.queue)?.ready.pop_front() else {
                break;
            };
            let key = command.routing_key.clone().unwrap_or_default();
            let Some(destination) = self.queues.get_mut(key.as_str()) else {
                self.queue(&command.queue)?.ready.push_front(message);
                moved.stopped = Some("the message reaches no queue".to_owned());
                break;
            };
            message.routing_key = key;
            destination.ready.push_back(message);
            moved.count += 1;
        }
        Ok(moved)
    }

    /// Every binding is looked at by its key alone, and every word of an answer is used once.
    pub(super) fn route(&mut self, by: &VhostAccess, command: &Publish) -> Outcome<RouteReport> {
        by.check(Access::Write, Resource::Exchange(&command.exchange))?;
        let exchange = self.exchange(&command.exchange)?.clone();
        let bindings = self
            .bindings
            .iter()
            .filter(|bind| bind.source == exchange.name);
        let bindings: Vec<RouteBinding> = bindings
            .map(|bind| RouteBinding {
                destination: bind.destination.clone(),
                routing_key: bind.routing_key.to_string(),
                arguments: bind.arguments.clone(),
                matches: bind.routing_key == command.routing_key,
                why: "by its key".to_owned(),
            })
            .collect();
        let answer = |verdict, on_error| RouteAnswer {
            plugin: "audit".to_owned(),
            verdict,
            detail: "because".to_owned(),
            on_error,
            time: std::time::Duration::from_nanos(1500),
            log: vec![("info", "seen".to_owned())],
            sent: vec![Sending {
                vhost: "/".to_owned(),
                exchange: "copies".to_owned(),
                routing_key: command.routing_key.clone(),
            }],
            stored: 1,
        };
        let matching = bindings.iter().filter(|binding| binding.matches);
        let queues = matching.map(|binding| RouteQueue {
            message: 0,
            name: binding.destination.name().to_owned(),
            via: vec![exchange.name.to_string()],
            certain: true,
            transforms: vec![answer("delay", None)],
            outcome: RouteOutcome::Delayed(5),
        });
        Ok(RouteReport {
            queues: queues.collect(),
            messages: vec![RouteMessage {
                origin: "published".to_owned(),
                exchange: exchange.name.to_string(),
                routing_keys: vec![command.routing_key.to_string()],
                properties: command.properties.clone(),
                body: command.body.clone(),
                delay_ms: 0,
            }],
            exchanges: vec![RouteExchange {
                message: 0,
                name: exchange.name.to_string(),
                kind: exchange.kind,
                via: Vec::new(),
                delay_ms: None,
                is_duplicate: false,
                binding_count: bindings.len(),
                match_count: bindings.iter().filter(|binding| binding.matches).count(),
                bindings,
                by_lot: false,
                alternate: Some(RouteAlternate {
                    name: "else".to_owned(),
                    exists: false,
                    is_taken: false,
                }),
                plugin: Some(answer("error", Some("drop"))),
                transforms: Vec::new(),
            }],
            refused: None,
            notes: vec!["a note".to_owned()],
        })
    }

    pub(super) fn publish(&mut self, by: &VhostAccess, command: &Publish) -> Outcome<Published> {
        by.check(Access::Write, Resource::Exchange(&command.exchange))?;
        self.exchange(&command.exchange)?;
        let bound = self
            .bindings
            .iter()
            .filter(|b| b.source == command.exchange && b.routing_key == command.routing_key);
        let mut names: Vec<_> = bound
            .map(|binding| binding.destination.name().to_owned())
            .collect();
        if command.exchange.is_empty() {
            names.push(command.routing_key.to_string());
        }
        let mut published = Published::Unroutable;
        for name in names {
            if let Some(queue) = self.queues.get_mut(&name) {
                queue.ready.push_back(Got {
                    exchange: command.exchange.clone(),
                    routing_key: command.routing_key.clone(),
                    redelivered: false,
                    ready_count: 0,
                    properties: command.properties.clone(),
                    body: command.body.clone(),
                });
                published = Published::Routed;
            }
        }
        Ok(published)
    }

    pub(super) fn get(&mut self, by: &VhostAccess, command: &Get) -> Outcome<Vec<Got>> {
        by.check(Access::Read, Resource::Queue(&command.queue))?;
        let ready = &mut self.queue(&command.queue)?.ready;
        let count = ready.len().min(command.count as usize);
        let mut got: Vec<_> = ready.drain(..count).collect();
        if command.settlement == Settlement::Requeue {
            for message in got.iter().rev() {
                ready.push_front(Got {
                    redelivered: true,
                    ..message.clone()
                });
            }
        }
        let ready_count = self.queue(&command.queue)?.ready.len();
        for message in &mut got {
            message.ready_count = ready_count as u64;
        }
        Ok(got)
    }
}

fn same(argument: &str, kind: &str, name: &str, received: bool, current: bool) -> Outcome<()> {
    if received == current {
        return Ok(());
    }
    let text = format!(
        "inequivalent arg '{argument}' for {kind} '{name}' in vhost '/': received '{received}' but current is '{current}'"
    );
    Err(ChannelException::precondition_failed(text).into())
}
