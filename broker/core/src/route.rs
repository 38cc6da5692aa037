//! From an exchange to queues.

mod explain;
mod varies;

use std::sync::Arc;

use amphora_protocol::exception::{ChannelException, Exception};

pub use self::explain::{Alternate, AskedStep, Explained, Reached, Step, Why};
pub use self::varies::Varies;
use crate::definition::ExchangeDefinition;
use crate::exchange::{Lookup, Marks, Matcher, MessageHeaders, Target, Walk, delay_ms};
use crate::hook::ExchangeHook;
use crate::topology::{ExchangeEntry, Topology};

/// Where a message goes. The caller keeps one and uses it for message after message, so that routing allocates nothing.
#[derive(Debug)]
pub struct Routed<Q> {
    /// The queues, each once. None if the message is unroutable.
    pub queues: Vec<Q>,
    /// For which other messages, published to the same exchange, the queues are these.
    pub varies: Varies,
    /// The exchanges on the way that remember the message, each once.
    pub remembered: Vec<Arc<ExchangeDefinition>>,
    /// The exchanges on the way at which the message is to wait, each once. It goes on from there with
    /// [`Topology::route_internal`] and the headers that [`waited`](crate::exchange::waited) makes.
    pub delayed: Vec<Delayed>,
    /// The exchanges on the way whose plugins must be asked, each once: see [`Topology::resume`].
    pub asked: Vec<Asked>,
    scratch: Scratch,
}

/// An exchange that only its plugin can route for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whom to ask.
    pub hook: Arc<dyn ExchangeHook>,
    slot: u32,
}

impl Asked {
    pub(crate) fn new(slot: u32, hook: &Arc<dyn ExchangeHook>) -> Self {
        Self {
            hook: Arc::clone(hook),
            slot,
        }
    }
}

/// A message is to wait before this exchange routes it.
#[derive(Clone, Debug)]
pub struct Delayed {
    /// The exchange.
    pub exchange: Arc<ExchangeDefinition>,
    /// How long, in milliseconds; more than nothing.
    pub delay_ms: u64,
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
            varies: Varies::Never,
            remembered: Vec::new(),
            delayed: Vec::new(),
            asked: Vec::new(),
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
    /// Exchanges whose types plugins supply are left in `routed.asked`: whoever holds no lock asks them, and calls
    /// [`Topology::resume`] with what they say.
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
        let slot = self.publishable(exchange, false)?;
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
        let slot = self.publishable(exchange, true)?;
        self.route_from(slot, routing_keys, headers, routed)
    }

    /// Whether clients may publish to the exchange.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such exchange; `ACCESS_REFUSED` if it is internal.
    pub fn check_publishable(&self, exchange: &str) -> Result<(), Exception> {
        self.publishable(exchange, false).map(drop)
    }

    /// The exchange's slot, if the broker itself (`internal`) or a client may publish to it.
    fn publishable(&self, exchange: &str, internal: bool) -> Result<u32, Exception> {
        let slot = self
            .exchange_slot(exchange)
            .ok_or_else(|| self.no_exchange(exchange))?;
        let entry = self.exchange_at(slot);
        if !internal && entry.is_some_and(|entry| entry.definition.internal) {
            let text = format!(
                "cannot publish to internal {}",
                self.exchange_text(exchange)
            );
            return Err(ChannelException::access_refused(text).into());
        }
        Ok(slot)
    }

    /// The exchange itself, if its type is a plugin's: what [`Topology::route`] would ask first.
    pub fn asked(&self, exchange: &str) -> Option<Asked> {
        let slot = self.exchange_slot(exchange)?;
        self.exchange_at(slot)?.asked(slot)
    }

    /// The exchange that is to be asked; none if it was deleted.
    pub fn exchange_of(&self, asked: &Asked) -> Option<&Arc<ExchangeDefinition>> {
        let entry = self.exchange_at(asked.slot)?;
        let Matcher::Plugin(plugin) = &entry.matcher else {
            return None;
        };
        Arc::ptr_eq(plugin.hook(), &asked.hook).then_some(&entry.definition)
    }

    /// Whether the exchange lets messages wait that ask for it; false if there is none of that name.
    pub fn delays(&self, exchange: &str) -> bool {
        let entry = self.exchange_entry(exchange);
        entry.is_ok_and(|entry| entry.delays)
    }

    /// Goes on where a plugin was asked, with the bindings that it named. More plugins may have to be asked then. What
    /// `routed` holds must come from [`Topology::route`] for the same message, or from [`Routed::begin`].
    ///
    /// # Errors
    /// As [`Topology::route`].
    pub fn resume(
        &self,
        asked: &Asked,
        answer: &[u32],
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        routed: &mut Routed<Q>,
    ) -> Result<(), Exception> {
        // An exchange that was deleted since then, and perhaps declared again, leads nowhere.
        if let Some(entry) = self.exchange_at(asked.slot)
            && let Matcher::Plugin(plugin) = &entry.matcher
            && Arc::ptr_eq(plugin.hook(), &asked.hook)
        {
            plugin.follow(answer, &mut routed.scratch.matched);
            self.follow(entry, routed);
        }
        self.walk(routing_keys, headers, routed)
    }

    fn route_from(
        &self,
        exchange: u32,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        routed: &mut Routed<Q>,
    ) -> Result<(), Exception> {
        routed.clear();
        routed.scratch.exchanges_seen.mark(exchange);
        routed.scratch.reached.push(exchange);
        self.walk(routing_keys, headers, routed)
    }

    /// Looks at all exchanges that were reached, and at those that they lead to.
    fn walk(
        &self,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        routed: &mut Routed<Q>,
    ) -> Result<(), Exception> {
        while let Some(slot) = routed.scratch.reached.pop() {
            let Some(entry) = self.exchange_at(slot) else {
                continue;
            };
            if entry.delays {
                routed.varies = Varies::Always;
                if let Some(delay_ms) = delay_ms(headers.table()?) {
                    let exchange = Arc::clone(&entry.definition);
                    routed.delayed.push(Delayed { exchange, delay_ms });
                    continue;
                }
            }
            if let Some(asked) = entry.asked(slot) {
                routed.asked.push(asked);
                continue;
            }
            let Scratch { matched, walk, .. } = &mut routed.scratch;
            if entry.definition.name.is_empty() {
                // Every queue is bound to the default exchange by its name.
                matched.extend(
                    routing_keys
                        .iter()
                        .filter_map(|key| self.queue_slot(key))
                        .map(Target::Queue),
                );
            } else {
                routed.varies = routed.varies.max(entry.matcher.varies());
                if matches!(entry.matcher, Matcher::RecentHistory(_)) {
                    routed.remembered.push(Arc::clone(&entry.definition));
                }
                entry.matcher.route(Lookup {
                    routing_keys,
                    headers,
                    walk,
                    matched,
                })?;
            }
            self.follow(entry, routed);
        }
        Ok(())
    }

    /// Goes where the bindings lead that matched, or to the alternate exchange.
    fn follow(&self, entry: &ExchangeEntry, routed: &mut Routed<Q>) {
        let Scratch {
            matched,
            reached,
            exchanges_seen,
            queues_seen,
            ..
        } = &mut routed.scratch;
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
                    let queue = self.queue_at(slot);
                    routed
                        .queues
                        .extend(queue.map(|entry| entry.handle.clone()));
                }
                Target::Exchange(_) | Target::Queue(_) => {}
            }
        }
    }
}

impl<Q> Routed<Q> {
    /// Prepares for [`Topology::resume`] at the exchange that the message was published to.
    pub fn begin(&mut self, asked: &Asked) {
        self.clear();
        self.scratch.exchanges_seen.mark(asked.slot);
    }

    fn clear(&mut self) {
        self.queues.clear();
        self.asked.clear();
        self.remembered.clear();
        self.delayed.clear();
        self.varies = Varies::Never;
        // An error may have left something behind.
        self.scratch.matched.clear();
        self.scratch.reached.clear();
        self.scratch.exchanges_seen.begin();
        self.scratch.queues_seen.begin();
    }
}
