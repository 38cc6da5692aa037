//! Declaring and deleting queues (AMQP 0-9-1, 1.7), as far as others than the queue itself are concerned.

use std::collections::BTreeSet;
use std::sync::Arc;

use amphora_protocol::exception::ChannelException;

use super::reply_text::{check_same_argument, check_same_flag};
use super::{Change, Changes, ConnectionId, QueueDeclaration, QueueEntry, Topology};
use crate::deduplication::Deduplication;
use crate::definition::QueueDefinition;
use crate::exchange::slot;
use crate::hook::TRANSFORM;
use crate::queue_arguments::{QUEUE_TYPE, QueueArguments, QueueType};

/// The answer to a legal `queue.declare`.
#[derive(Debug)]
pub enum Declared<Q> {
    /// There is such a queue.
    Exists(Q),
    /// There is none, and it may be created with these arguments.
    Absent(Box<QueueArguments>),
}

impl<Q: Clone> Topology<Q> {
    /// Checks `queue.declare`, without creating anything.
    ///
    /// # Errors
    /// * `NOT_FOUND` if it is passive and there is none.
    /// * `RESOURCE_LOCKED` if there is one that is exclusive to another connection, or exclusive where the declaration is
    ///   not or the other way round.
    /// * `PRECONDITION_FAILED` if there is another one of that name, or an argument is malformed.
    /// * `ACCESS_REFUSED` for a new queue whose name begins with `amq.`.
    pub fn check_queue(
        &self,
        declaration: &QueueDeclaration,
        asker: ConnectionId,
    ) -> Result<Declared<Q>, ChannelException> {
        let name = &declaration.name;
        if declaration.passive {
            return Ok(Declared::Exists(
                self.find_queue(name, asker)?.handle.clone(),
            ));
        }
        if let Some(entry) = self.queue(name) {
            self.check_same_queue(&entry.definition, declaration, asker)?;
            return Ok(Declared::Exists(entry.handle.clone()));
        }
        if name.starts_with("amq.") && !declaration.server_named {
            let text = format!(
                "queue name '{}' contains reserved prefix 'amq.*'",
                name.as_str()
            );
            return Err(ChannelException::access_refused(text));
        }
        let of = self.queue_text(name);
        let arguments = QueueArguments::declared(&declaration.arguments, &of)?;
        if arguments.queue_type != QueueType::Classic {
            if declaration.server_named {
                let queue_type = arguments.queue_type.module();
                let text = format!("Cannot declare a server-named queue for type {queue_type}");
                return Err(ChannelException::precondition_failed(text));
            }
            let refused = [
                (declaration.auto_delete, "auto-delete"),
                (declaration.exclusive, "exclusive-owner"),
                (!declaration.durable, "non-durable"),
            ];
            if let Some((_, property)) = refused.into_iter().find(|(is_so, _)| *is_so) {
                let text = format!("invalid property '{property}' for {of}");
                return Err(ChannelException::precondition_failed(text));
            }
        }
        Ok(Declared::Absent(Box::new(arguments)))
    }

    /// Adds a queue that [`Topology::check_queue`] found absent.
    pub fn insert_queue(&mut self, definition: Arc<QueueDefinition>, handle: Q) -> Changes {
        let entry = QueueEntry {
            policies: self.policies_for_queue(&definition),
            definition: Arc::clone(&definition),
            handle,
            arriving: BTreeSet::new(),
        };
        let place = self.queues.insert(entry);
        self.queue_names
            .insert(definition.name.clone(), slot(place));
        if let Some(owner) = definition.owner {
            let owned = self.exclusive.entry(owner).or_default();
            owned.insert(definition.name.clone());
        }
        self.changed();
        Changes(vec![Change::QueueCreated(definition)])
    }

    /// Removes a queue, its bindings, and the auto-delete exchanges that this leaves without a binding.
    /// `None` if there is no such queue.
    pub fn remove_queue(&mut self, name: &str) -> Option<(Q, Changes)> {
        let slot = self.queue_names.get(name).copied()?;
        let ids: Vec<_> = self.queue_at(slot)?.arriving.iter().copied().collect();
        let mut changes = Changes::default();
        let mut doomed = Vec::new();
        for id in ids {
            doomed.extend(self.remove_binding(id, &mut changes));
        }
        self.queue_names.remove(name);
        let entry = self.queues.try_remove(slot as usize)?;
        if let Some(owner) = entry.definition.owner
            && let Some(owned) = self.exclusive.get_mut(&owner)
        {
            owned.remove(name);
            if owned.is_empty() {
                self.exclusive.remove(&owner);
            }
        }
        changes.0.push(Change::QueueDeleted(entry.definition));
        self.changed();
        self.remove_exchanges(doomed, &mut changes);
        Some((entry.handle, changes))
    }

    fn check_same_queue(
        &self,
        current: &QueueDefinition,
        declaration: &QueueDeclaration,
        asker: ConnectionId,
    ) -> Result<(), ChannelException> {
        if current.owner != declaration.exclusive.then_some(asker) {
            return Err(self.locked_queue(&declaration.name));
        }
        let of = self.queue_text(&declaration.name);
        check_same_flag(
            &of,
            "durable",
            current.durable,
            declaration.durable && !declaration.exclusive,
        )?;
        check_same_flag(
            &of,
            "auto_delete",
            current.auto_delete,
            declaration.auto_delete,
        )?;
        QueueType::check_same(&of, &current.arguments, &declaration.arguments)?;
        for name in current
            .parsed
            .queue_type
            .compared_arguments()
            .filter(|name| *name != QUEUE_TYPE)
            .chain([TRANSFORM])
            .chain(Deduplication::ARGUMENTS)
        {
            check_same_argument(&of, name, &current.arguments, &declaration.arguments)?;
        }
        Ok(())
    }
}
