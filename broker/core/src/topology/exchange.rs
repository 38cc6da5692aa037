//! Declaring and deleting exchanges (AMQP 0-9-1, 1.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use amphora_protocol::exception::ChannelException;
use amphora_protocol::wire::table::{FieldTable, FieldValue};
use amphora_protocol::wire::types::ExchangeName;

use super::reply_text::{check_same_argument, check_same_flag, default_exchange, inequivalent};
use super::{Change, Changes, ExchangeDeclaration, ExchangeEntry, Topology};
use crate::deduplication::Deduplication;
use crate::definition::ExchangeDefinition;
use crate::exchange::{DELAYED_TYPE, ExchangeType, Matcher, slot};
use crate::hook::TRANSFORM;

/// Where messages go that the exchange has no destination for.
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";
const RESERVED_PREFIX: &str = "amq.";

impl<Q: Clone> Topology<Q> {
    /// `exchange.declare`: creates the exchange unless one exists that is the same in type, flags, alternate exchange, transforms and deduplication.
    ///
    /// # Errors
    /// * `ACCESS_REFUSED` for the default exchange, and for a new exchange whose name begins with `amq.`.
    /// * `NOT_FOUND` if it is passive and there is none.
    /// * `PRECONDITION_FAILED` if the type is unknown, an argument is malformed, or another exchange of that name exists.
    pub fn declare_exchange(
        &mut self,
        declaration: ExchangeDeclaration,
    ) -> Result<Changes, ChannelException> {
        let ExchangeDeclaration {
            name,
            exchange_type,
            passive,
            ..
        } = &declaration;
        if name.is_empty() {
            return Err(default_exchange());
        }
        if *passive {
            return self.find_exchange(name).map(|_| Changes::default());
        }
        let exchange_type = self
            .known_type(exchange_type, name)
            .ok_or_else(|| no_such_type(exchange_type))?;
        if let Ok(current) = self.find_exchange(name) {
            self.check_same_exchange(current, &exchange_type, &declaration)?;
            return Ok(Changes::default());
        }
        if name.starts_with(RESERVED_PREFIX) {
            let text = format!(
                "exchange name '{}' contains reserved prefix 'amq.*'",
                name.as_str()
            );
            return Err(ChannelException::access_refused(text));
        }
        alternate_exchange(&declaration.arguments).map_err(|reason| {
            let reason = format!(
                "{reason} for arg '{ALTERNATE_EXCHANGE}' in {}",
                self.exchange_text(name)
            );
            ChannelException::precondition_failed(reason)
        })?;
        self.check_arguments(&exchange_type, &declaration)?;
        let definition = Arc::new(ExchangeDefinition {
            name: declaration.name,
            exchange_type,
            durable: declaration.durable,
            auto_delete: declaration.auto_delete,
            internal: declaration.internal,
            arguments: declaration.arguments,
            declared_by: declaration.by,
        });
        self.insert_exchange(Arc::clone(&definition));
        Ok(Changes(vec![Change::ExchangeCreated(definition)]))
    }

    /// `exchange.delete`: deletes the exchange and its bindings, and what was bound to it only to go away with it.
    /// That there is none is no error.
    ///
    /// # Errors
    /// `ACCESS_REFUSED` for the exchanges that every virtual host has; `PRECONDITION_FAILED` if it is in use (has a binding
    /// whose source it is) and `if_unused` is set.
    pub fn delete_exchange(
        &mut self,
        name: &str,
        if_unused: bool,
    ) -> Result<Changes, ChannelException> {
        if name.is_empty() {
            return Err(default_exchange());
        }
        if name.starts_with(RESERVED_PREFIX) {
            let text = format!(
                "deletion of system {} not allowed",
                self.exchange_text(name)
            );
            return Err(ChannelException::access_refused(text));
        }
        let Ok(entry) = self.exchange_entry(name) else {
            return Ok(Changes::default());
        };
        if if_unused && !entry.leaving.is_empty() {
            return Err(ChannelException::precondition_failed(format!(
                "{} in use",
                self.exchange_text(name)
            )));
        }
        let mut changes = Changes::default();
        self.remove_exchanges(vec![entry.definition.name.clone()], &mut changes);
        Ok(changes)
    }

    /// The type that a declaration asks for. One that a plugin supplies is known while the plugin is there, and otherwise to
    /// those who declare again what exists.
    fn known_type(&self, type_name: &str, exchange: &str) -> Option<ExchangeType> {
        let exchange_type = ExchangeType::from_name(type_name)?;
        let known = match &exchange_type {
            ExchangeType::Plugin(name) => {
                let current = self.find_exchange(exchange).ok();
                current.is_some_and(|current| current.exchange_type == exchange_type)
                    || self.hooks.has_exchange_type(name)
            }
            _ => true,
        };
        known.then_some(exchange_type)
    }

    /// What the type says of the arguments, and the type by which an exchange routes that delays.
    fn check_arguments(
        &self,
        exchange_type: &ExchangeType,
        declaration: &ExchangeDeclaration,
    ) -> Result<(), ChannelException> {
        let ExchangeDeclaration {
            name, arguments, ..
        } = declaration;
        Deduplication::parse(arguments, &self.exchange_text(name))?;
        let refused = ChannelException::precondition_failed;
        if *exchange_type != ExchangeType::DelayedMessage {
            return exchange_type.check_arguments(arguments).map_err(refused);
        }
        let inner = arguments.get(DELAYED_TYPE).and_then(FieldValue::as_str);
        let inner = inner.filter(|inner| *inner != exchange_type.name());
        let inner = inner.ok_or_else(|| {
            let text =
                format!("Invalid argument, '{DELAYED_TYPE}' must be an existing exchange type");
            refused(text)
        })?;
        let inner = self
            .known_type(inner, name)
            .ok_or_else(|| no_such_type(inner))?;
        inner.check_arguments(arguments).map_err(refused)
    }

    pub(super) fn insert_exchange(&mut self, definition: Arc<ExchangeDefinition>) {
        let name = definition.name.clone();
        let matcher = Matcher::new(&definition, |type_name| {
            self.hooks.exchange(type_name, &self.vhost, &definition)
        });
        let mut entry = ExchangeEntry {
            matcher,
            alternate: None,
            policies: self.policies.for_exchange(&name),
            delays: false,
            definition,
            leaving: BTreeSet::new(),
            arriving: BTreeSet::new(),
        };
        entry.settle_policies();
        let place = self.exchanges.insert(entry);
        self.exchange_names.insert(name, slot(place));
        self.changed();
    }

    /// Removes exchanges, their bindings, and the auto-delete exchanges that this leaves without a binding.
    pub(super) fn remove_exchanges(
        &mut self,
        mut doomed: Vec<ExchangeName>,
        changes: &mut Changes,
    ) {
        while let Some(name) = doomed.pop() {
            let Ok(entry) = self.exchange_entry(&name) else {
                continue;
            };
            let ids: Vec<_> = entry.leaving.union(&entry.arriving).copied().collect();
            for id in ids {
                doomed.extend(self.remove_binding(id, changes));
            }
            if let Some(slot) = self.exchange_names.remove(&name)
                && let Some(entry) = self.exchanges.try_remove(slot as usize)
            {
                changes.0.push(Change::ExchangeDeleted(entry.definition));
                self.changed();
            }
        }
    }

    fn check_same_exchange(
        &self,
        current: &ExchangeDefinition,
        exchange_type: &ExchangeType,
        declaration: &ExchangeDeclaration,
    ) -> Result<(), ChannelException> {
        let of = self.exchange_text(&declaration.name);
        if *exchange_type != current.exchange_type {
            let (received, current) = (
                format!("'{exchange_type}'"),
                format!("'{}'", current.exchange_type),
            );
            return Err(inequivalent(&of, "type", &received, &current));
        }
        check_same_flag(&of, "durable", current.durable, declaration.durable)?;
        check_same_flag(
            &of,
            "auto_delete",
            current.auto_delete,
            declaration.auto_delete,
        )?;
        check_same_flag(&of, "internal", current.internal, declaration.internal)?;
        let compared = [ALTERNATE_EXCHANGE, TRANSFORM].into_iter();
        for name in compared.chain(Deduplication::ARGUMENTS) {
            check_same_argument(&of, name, &current.arguments, &declaration.arguments)?;
        }
        Ok(())
    }
}

fn no_such_type(type_name: &str) -> ChannelException {
    let malformed = if type_name.is_empty() {
        "invalid"
    } else {
        "unknown"
    };
    ChannelException::precondition_failed(format!("{malformed} exchange type '{type_name}'"))
}

pub(super) fn alternate_exchange(arguments: &FieldTable) -> Result<Option<ExchangeName>, String> {
    match arguments.get(ALTERNATE_EXCHANGE) {
        None => Ok(None),
        Some(FieldValue::LongString(name)) => {
            let name = std::str::from_utf8(name)
                .ok()
                .and_then(|name| ExchangeName::new(name).ok());
            name.map(Some).ok_or_else(|| "invalid name".to_owned())
        }
        Some(other) => Err(format!("invalid type '{}'", other.type_name())),
    }
}
