//! One exchange of a plugin's type, and its bindings.

use super::message::TestMessage;
use super::pack::pack;
use crate::exchange::exchanges::Exchanges;
use crate::exchange::{Binding, Declaration, Exchange};
use crate::needs::Needs;
use crate::value::Table;

/// The number of the only exchange.
const EXCHANGE: u32 = 1;

/// An exchange that runs in the test. Messages take the way that they take in the broker: packed in batches.
pub struct Router<E: Exchange> {
    exchanges: Exchanges<E>,
    needs: Needs,
    bindings: Vec<(u32, Binding)>,
    next: u32,
}

impl<E: Exchange> std::fmt::Debug for Router<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router")
            .field("needs", &self.needs)
            .field("bindings", &self.bindings)
            .finish_non_exhaustive()
    }
}

impl<E: Exchange> Router<E> {
    /// Declares an exchange with these arguments.
    ///
    /// # Errors
    /// What the plugin says to them.
    pub fn declare(arguments: impl Into<Table>) -> Result<Self, String> {
        let mut exchanges = Exchanges::default();
        let needs = exchanges.describe().needs;
        let declaration = Declaration {
            vhost: "/".to_owned(),
            name: "tested".to_owned(),
            arguments: arguments.into(),
        };
        exchanges.create(EXCHANGE, &declaration)?;
        Ok(Self {
            exchanges,
            needs,
            bindings: Vec::new(),
            next: 1,
        })
    }

    /// Binds a destination.
    ///
    /// # Errors
    /// What the plugin says to the binding.
    pub fn bind(
        &mut self,
        destination: &str,
        routing_key: &str,
        arguments: impl Into<Table>,
    ) -> Result<(), String> {
        let binding = Binding {
            destination: destination.to_owned(),
            routing_key: routing_key.to_owned(),
            arguments: arguments.into(),
        };
        let id = self.next;
        let add = vec![(id, binding.clone())];
        self.exchanges.rebind(EXCHANGE, add, &[])?;
        self.bindings.push((id, binding));
        self.next += 1;
        Ok(())
    }

    /// Removes all bindings of a destination.
    ///
    /// # Errors
    /// What the plugin says to it.
    pub fn unbind(&mut self, destination: &str) -> Result<(), String> {
        let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.bindings)
            .into_iter()
            .partition(|(_, binding)| binding.destination == destination);
        self.bindings = kept;
        let gone: Vec<u32> = gone.into_iter().map(|(id, _)| id).collect();
        self.exchanges.rebind(EXCHANGE, Vec::new(), &gone)
    }

    /// The destinations that a message goes to, in alphabetical order.
    ///
    /// # Panics
    /// If the plugin names a binding that is not there.
    pub fn route(&mut self, message: &TestMessage) -> Vec<String> {
        self.route_all(&[message]).pop().unwrap_or_default()
    }

    /// The destinations of each message of a batch.
    ///
    /// # Panics
    /// If the plugin names a binding that is not there.
    pub fn route_all(&mut self, messages: &[&TestMessage]) -> Vec<Vec<String>> {
        let batch = pack(&self.needs, messages);
        let answer = match self.exchanges.route(EXCHANGE, &batch) {
            Ok(answer) => answer,
            Err(error) => panic!("{error}"),
        };
        let mut numbers = answer.into_iter();
        let mut next = || numbers.next().unwrap_or_default();
        let destinations = messages.iter().map(|_| {
            let ids: Vec<u32> = (0..next()).map(|_| next()).collect();
            self.destinations(&ids)
        });
        destinations.collect()
    }

    fn destinations(&self, ids: &[u32]) -> Vec<String> {
        let destinations = ids.iter().map(|id| {
            let binding = self.bindings.iter().find(|(known, _)| known == id);
            match binding {
                Some((_, binding)) => binding.destination.clone(),
                None => panic!("the answer names binding {id}, which is not there"),
            }
        });
        let mut destinations: Vec<String> = destinations.collect();
        destinations.sort();
        destinations.dedup();
        destinations
    }
}
