//! From an exchange to queues.

use amphora_protocol::exception::{ChannelException, Exception};

use crate::exchange::{Lookup, Marks, MessageHeaders, Target, Walk};
use crate::topology::Topology;

/// Where a message goes. The caller keeps one and uses it for message after message, so that routing allocates nothing.
#[derive(Debug)]
pub struct Routed<Q> {
    /// The queues, each once. None if the message is unroutable.
    pub queues: Vec<Q>,
    /// The answer is a function of the headers, too: it must not be kept for other messages with the same routing keys.
    pub depends_on_headers: bool,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    matched: Vec<Target>,
    /// Exchanges that were reached and not looked at yet.
    reached: Vec<u32>,
    exchanges_seen: Marks,
    queues_seen: Marks,
    walk: Walk,
}

impl<Q> Default for Routed<Q> {
    fn default() -> Self {
        Self {
            queues: Vec::new(),
            depends_on_headers: false,
            scratch: Scratch::default(),
        }
    }
}

impl<Q: Clone> Topology<Q> {
    /// Finds the queues for a message that a client publishes to `exchange`. `routing_keys` are the message's own and
    /// those of its `CC` and `BCC` headers. What `routed` held before is forgotten.
    ///
    /// Exchanges that are bound to exchanges are followed, each once, and so is the alternate exchange of every exchange
    /// on the way that has no matching binding. An alternate exchange that does not exist is no error.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such exchange; `ACCESS_REFUSED` if it is internal; what `headers` says if they are needed
    /// and damaged.
    pub fn route(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        routed: &mut Routed<Q>,
    ) -> Result<(), Exception> {
        let slot = self
            .exchange_slot(exchange)
            .ok_or_else(|| self.no_exchange(exchange))?;
        if self
            .exchange_at(slot)
            .is_some_and(|entry| entry.definition.internal)
        {
            let text = format!(
                "cannot publish to internal {}",
                self.exchange_text(exchange)
            );
            return Err(ChannelException::access_refused(text).into());
        }
        self.route_from(slot, routing_keys, headers, routed)
    }

    /// As [`Topology::route`], for what the broker itself publishes, such as dead letters: also to internal exchanges.
    pub fn route_internal(
        &self,
        exchange: &str,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        routed: &mut Routed<Q>,
    ) -> Result<(), Exception> {
        let slot = self
            .exchange_slot(exchange)
            .ok_or_else(|| self.no_exchange(exchange))?;
        self.route_from(slot, routing_keys, headers, routed)
    }

    fn route_from(
        &self,
        exchange: u32,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        routed: &mut Routed<Q>,
    ) -> Result<(), Exception> {
        let Routed {
            queues,
            depends_on_headers,
            scratch,
        } = routed;
        let Scratch {
            matched,
            reached,
            exchanges_seen,
            queues_seen,
            walk,
        } = scratch;
        queues.clear();
        *depends_on_headers = false;
        exchanges_seen.begin();
        queues_seen.begin();
        exchanges_seen.mark(exchange);
        reached.clear();
        reached.push(exchange);
        while let Some(entry) = reached.pop().and_then(|slot| self.exchange_at(slot)) {
            matched.clear();
            if entry.definition.name.is_empty() {
                // Every queue is bound to the default exchange by its name.
                matched.extend(
                    routing_keys
                        .iter()
                        .filter_map(|key| self.queue_slot(key))
                        .map(Target::Queue),
                );
            } else {
                *depends_on_headers |= entry.matcher.depends_on_headers();
                entry.matcher.route(Lookup {
                    routing_keys,
                    headers,
                    walk,
                    matched,
                })?;
            }
            if matched.is_empty() {
                let alternate = entry
                    .alternate
                    .as_ref()
                    .and_then(|name| self.exchange_slot(name));
                matched.extend(alternate.map(Target::Exchange));
            }
            for target in matched.drain(..) {
                match target {
                    Target::Exchange(slot) if exchanges_seen.mark(slot) => reached.push(slot),
                    Target::Queue(slot) if queues_seen.mark(slot) => {
                        queues.extend(self.queue_at(slot).map(|entry| entry.handle.clone()));
                    }
                    Target::Exchange(_) | Target::Queue(_) => {}
                }
            }
        }
        Ok(())
    }
}
