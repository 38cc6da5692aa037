//! Binding and unbinding (AMQP 0-9-1, 1.7.2.3, and RabbitMQ's `exchange.bind`).

use std::sync::Arc;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::types::ExchangeName;

use super::reply_text::default_exchange;
use super::{BindingEntry, Change, Changes, ConnectionId, Topology};
use crate::binding::{Binding, BindingId, Destination};
use crate::exchange::{ExchangeType, Target};
use crate::queue_arguments::QueueType;

impl<Q: Clone> Topology<Q> {
    /// `queue.bind` and `exchange.bind`. That there is such a binding already is no error.
    ///
    /// # Errors
    /// * `ACCESS_REFUSED` if an end is the default exchange.
    /// * `NOT_FOUND` for the first end that does not exist, the source before the destination.
    /// * `PRECONDITION_FAILED` if the exchange's type refuses the arguments.
    /// * `RESOURCE_LOCKED` if the destination is a queue that is exclusive to another connection.
    pub fn bind(
        &mut self,
        binding: Binding,
        asker: ConnectionId,
    ) -> Result<Changes, ChannelException> {
        check_not_default(&binding)?;
        if let Some(missing) = self.missing_end(&binding) {
            return Err(missing);
        }
        let source = &self.exchange_entry(&binding.source)?.definition;
        let source_type = source.routing_type();
        source_type
            .check(&binding)
            .map_err(ChannelException::precondition_failed)?;
        if source_type == ExchangeType::LocalRandom {
            self.check_is_classic(&binding.destination)?;
        }
        self.check_destination(&binding.destination, asker)?;
        if self.binding_ids.contains_key(&binding) {
            return Ok(Changes::default());
        }
        let id = self.next_binding;
        let binding = Arc::new(binding);
        let durable = self
            .insert_binding(id, &binding)
            .ok_or_else(|| self.no_exchange(&binding.source))?;
        Ok(Changes(vec![Change::BindingCreated {
            id,
            binding,
            durable,
        }]))
    }

    /// `queue.unbind` and `exchange.unbind`. That there is no such binding, or not even its ends, is no error.
    /// The source goes, too, if it is an auto-delete exchange and this was its last binding.
    ///
    /// # Errors
    /// `ACCESS_REFUSED` if an end is the default exchange; `RESOURCE_LOCKED` as for [`Topology::bind`].
    pub fn unbind(
        &mut self,
        binding: &Binding,
        asker: ConnectionId,
    ) -> Result<Changes, ChannelException> {
        check_not_default(binding)?;
        self.check_destination(&binding.destination, asker)?;
        let mut changes = Changes::default();
        if let Some(id) = self.binding_ids.get(binding).copied() {
            let doomed = self.remove_binding(id, &mut changes);
            self.remove_exchanges(doomed.into_iter().collect(), &mut changes);
        }
        Ok(changes)
    }

    /// Adds a binding whose ends exist, and tells whether it is durable; `None` if an end is missing.
    pub(super) fn insert_binding(&mut self, id: BindingId, binding: &Arc<Binding>) -> Option<bool> {
        let source = self.exchange_slot(&binding.source)?;
        let (target, destination_durable) = match &binding.destination {
            Destination::Queue(name) => {
                let slot = self.queue_slot(name)?;
                let entry = self.queues.get_mut(slot as usize)?;
                entry.arriving.insert(id);
                (Target::Queue(slot), entry.definition.durable)
            }
            Destination::Exchange(name) => {
                let slot = self.exchange_slot(name)?;
                let entry = self.exchanges.get_mut(slot as usize)?;
                entry.arriving.insert(id);
                (Target::Exchange(slot), entry.definition.durable)
            }
        };
        let entry = self.exchanges.get_mut(source as usize)?;
        entry.matcher.bind(binding, target);
        entry.leaving.insert(id);
        let durable = entry.definition.durable && destination_durable;
        self.binding_ids.insert(Arc::clone(binding), id);
        self.bindings.insert(
            id,
            BindingEntry {
                binding: Arc::clone(binding),
                durable,
            },
        );
        self.next_binding = self.next_binding.max(BindingId(id.0.saturating_add(1)));
        self.changed();
        Some(durable)
    }

    /// Removes a binding. Returns its source if that is to go with its last binding and this was it.
    pub(super) fn remove_binding(
        &mut self,
        id: BindingId,
        changes: &mut Changes,
    ) -> Option<ExchangeName> {
        let BindingEntry { binding, durable } = self.bindings.remove(&id)?;
        self.binding_ids.remove(&binding);
        let target = match &binding.destination {
            Destination::Queue(name) => self.queue_slot(name).map(|slot| {
                if let Some(entry) = self.queues.get_mut(slot as usize) {
                    entry.arriving.remove(&id);
                }
                Target::Queue(slot)
            }),
            Destination::Exchange(name) => self.exchange_slot(name).map(|slot| {
                if let Some(entry) = self.exchanges.get_mut(slot as usize) {
                    entry.arriving.remove(&id);
                }
                Target::Exchange(slot)
            }),
        };
        let source = self.exchange_slot(&binding.source);
        self.changed();
        changes.0.push(Change::BindingDeleted {
            id,
            binding: Arc::clone(&binding),
            durable,
        });
        let entry = self.exchanges.get_mut(source? as usize)?;
        entry.matcher.unbind(&binding, target?);
        entry.leaving.remove(&id);
        (entry.definition.auto_delete && entry.leaving.is_empty()).then(|| binding.source.clone())
    }

    /// What to say of the first end that does not exist.
    pub(super) fn missing_end(&self, binding: &Binding) -> Option<ChannelException> {
        if self.exchange_slot(&binding.source).is_none() {
            return Some(self.no_exchange(&binding.source));
        }
        match &binding.destination {
            Destination::Queue(name) => {
                self.queue_slot(name).is_none().then(|| self.no_queue(name))
            }
            Destination::Exchange(name) => self
                .exchange_slot(name)
                .is_none()
                .then(|| self.no_exchange(name)),
        }
    }

    /// Only such queues are in one place.
    fn check_is_classic(&self, destination: &Destination) -> Result<(), ChannelException> {
        let queue = self.queue(destination.name());
        match queue.map(|queue| queue.definition.parsed.queue_type) {
            None | Some(QueueType::Classic) => Ok(()),
            Some(other) => Err(ChannelException::precondition_failed(format!(
                "Queue type {} not valid for this exchange type",
                match other {
                    QueueType::Quorum => "rabbit_quorum_queue",
                    _ => "rabbit_stream_queue",
                }
            ))),
        }
    }

    fn check_destination(
        &self,
        destination: &Destination,
        asker: ConnectionId,
    ) -> Result<(), ChannelException> {
        match destination {
            Destination::Queue(name) if self.queue(name).is_some() => {
                self.find_queue(name, asker).map(|_| ())
            }
            _ => Ok(()),
        }
    }
}

fn check_not_default(binding: &Binding) -> Result<(), ChannelException> {
    let to_default = matches!(&binding.destination, Destination::Exchange(name) if name.is_empty());
    if binding.source.is_empty() || to_default {
        Err(default_exchange())
    } else {
        Ok(())
    }
}
