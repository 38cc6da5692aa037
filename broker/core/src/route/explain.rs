//! Where a message would go, and why: the walk of [`super`] with reasons, for somebody who asks and not for traffic.
//!
//! Which destinations an exchange leads to is what its index of bindings says, as for a message that is published. Only the reasons are found
//! out binding by binding.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use amphora_protocol::exception::Exception;
use amphora_protocol::wire::types::ExchangeName;

use super::Asked;
use crate::binding::{Binding, Destination};
use crate::definition::ExchangeDefinition;
use crate::exchange::{Lookup, Matcher, MessageHeaders, Target, Walk, delay_ms, why};
use crate::topology::{ExchangeEntry, Topology};

/// The way of one message.
#[derive(Debug)]
pub struct Explained<Q> {
    /// The exchanges that it comes to, in the order of the walk.
    pub steps: Vec<Step>,
    /// The queues that it comes to, each once.
    pub queues: Vec<Reached<Q>>,
    /// The steps whose plugins must be asked: see [`Topology::explain_answer`].
    pub asked: Vec<AskedStep>,
    /// Exchanges to look at: first those that the message comes to in any case.
    ahead: VecDeque<Ahead>,
    exchanges_seen: HashSet<u32>,
    queues_seen: HashSet<u32>,
}

#[derive(Debug)]
struct Ahead {
    slot: u32,
    via: Vec<ExchangeName>,
    certain: bool,
}

/// One exchange on the way.
#[derive(Debug)]
pub struct Step {
    /// The exchange.
    pub exchange: Arc<ExchangeDefinition>,
    /// The exchanges before it, the first one first.
    pub via: Vec<ExchangeName>,
    /// The message waits here for so many milliseconds, and nothing is known yet of where it goes then.
    pub delay_ms: Option<u64>,
    /// The bindings that the exchange is the source of, the oldest first. Of the default exchange only those that match.
    pub bindings: Vec<Arc<Binding>>,
    /// Where it goes from here.
    pub destinations: BTreeSet<Destination>,
    /// The bindings that the exchange's plugin named, once it was asked.
    pub named: Option<HashSet<Arc<Binding>>>,
    /// One of the bindings is drawn by lot for each message: `destinations` are those that it may be.
    pub by_lot: bool,
    /// The alternate exchange, if there is a name of one.
    pub alternate: Option<Alternate>,
    certain: bool,
}

/// Where an exchange sends what no binding matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternate {
    /// The exchange's name.
    pub exchange: ExchangeName,
    /// There is such an exchange.
    pub exists: bool,
    /// The message goes there.
    pub is_taken: bool,
}

/// A step that goes on when its plugin was asked.
#[derive(Clone, Debug)]
pub struct AskedStep {
    /// Whom to ask.
    pub asked: Asked,
    /// Its place in [`Explained::steps`].
    pub step: usize,
}

/// A queue that the message comes to.
#[derive(Debug)]
pub struct Reached<Q> {
    /// The queue.
    pub queue: Q,
    /// The exchanges that lead there, the one that was published to first.
    pub via: Vec<ExchangeName>,
    /// It does so in any case; otherwise lots decide.
    pub certain: bool,
}

/// Whether a binding matches, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// It does.
    pub matches: bool,
    /// The reason, in words.
    pub text: String,
}

impl<Q> Default for Explained<Q> {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            queues: Vec::new(),
            asked: Vec::new(),
            ahead: VecDeque::new(),
            exchanges_seen: HashSet::new(),
            queues_seen: HashSet::new(),
        }
    }
}

impl Step {
    /// Whether a binding among [`Step::bindings`] matches a message with these routing keys and headers, and why.
    ///
    /// # Errors
    /// The headers are needed and damaged.
    pub fn why(
        &self,
        binding: &Arc<Binding>,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
    ) -> Result<Why, Exception> {
        let is_destination = self.destinations.contains(&binding.destination);
        let named = self.named.as_ref().map(|named| named.contains(binding));
        why::explain(&why::Question {
            exchange: &self.exchange,
            binding,
            routing_keys,
            headers,
            is_destination,
            named,
        })
    }
}

impl<Q: Clone> Topology<Q> {
    /// Finds the way of a message that is published to `exchange`, as [`Topology::route`] does, and leaves everything as it is: not even
    /// lots are drawn. `internal` is for what the broker itself publishes. What `explained` holds before is forgotten.
    ///
    /// Steps whose types plugins supply are left in `explained.asked`; steps at which the message waits end there.
    ///
    /// # Errors
    /// As [`Topology::route`].
    pub fn explain(
        &self,
        exchange: &str,
        internal: bool,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        explained: &mut Explained<Q>,
    ) -> Result<(), Exception> {
        *explained = Explained::default();
        let slot = self.publishable(exchange, internal)?;
        explained.exchanges_seen.insert(slot);
        explained.ahead.push_back(Ahead {
            slot,
            via: Vec::new(),
            certain: true,
        });
        self.explain_ahead(routing_keys, headers, explained)
    }

    /// Goes on where a plugin was asked, with the bindings that it named. More plugins may have to be asked then.
    ///
    /// # Errors
    /// As [`Topology::route`].
    pub fn explain_answer(
        &self,
        asked: &AskedStep,
        answer: &[u32],
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        explained: &mut Explained<Q>,
    ) -> Result<(), Exception> {
        if let Some(entry) = self.exchange_at(asked.asked.slot)
            && let Matcher::Plugin(plugin) = &entry.matcher
            && Arc::ptr_eq(plugin.hook(), &asked.asked.hook)
        {
            let mut matched = Vec::new();
            plugin.follow(answer, &mut matched);
            if let Some(step) = explained.steps.get_mut(asked.step) {
                step.named = Some(plugin.bindings(answer).collect());
            }
            self.explain_follow(entry, asked.step, &matched, explained);
        }
        self.explain_ahead(routing_keys, headers, explained)
    }

    fn explain_ahead(
        &self,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
        explained: &mut Explained<Q>,
    ) -> Result<(), Exception> {
        while let Some(ahead) = explained.ahead.pop_front() {
            let slot = ahead.slot;
            let Some(entry) = self.exchange_at(slot) else {
                continue;
            };
            let mut step = Step::new(entry, ahead);
            let place = explained.steps.len();
            if entry.delays {
                step.delay_ms = delay_ms(headers.table()?);
            }
            if !entry.definition.name.is_empty() {
                step.bindings = self.bindings_by_source(&entry.definition.name);
            }
            let waits = step.delay_ms.is_some();
            explained.steps.push(step);
            if waits {
                continue;
            }
            if let Some(asked) = entry.asked(slot) {
                explained.asked.push(AskedStep { asked, step: place });
                continue;
            }
            let matched = self.matched(entry, routing_keys, headers)?;
            self.explain_follow(entry, place, &matched, explained);
        }
        Ok(())
    }

    fn matched(
        &self,
        entry: &ExchangeEntry,
        routing_keys: &[&str],
        headers: &dyn MessageHeaders,
    ) -> Result<Vec<Target>, Exception> {
        let mut matched = Vec::new();
        if entry.definition.name.is_empty() {
            let queues = routing_keys.iter().filter_map(|key| self.queue_slot(key));
            matched.extend(queues.map(Target::Queue));
        } else if let Matcher::Random(random) = &entry.matcher {
            random.candidates(&mut matched);
        } else {
            entry.matcher.route(Lookup {
                routing_keys,
                headers,
                walk: &mut Walk::default(),
                matched: &mut matched,
            })?;
        }
        Ok(matched)
    }

    /// Notes where the step leads, and goes there.
    fn explain_follow(
        &self,
        entry: &ExchangeEntry,
        place: usize,
        matched: &[Target],
        explained: &mut Explained<Q>,
    ) {
        let Explained {
            steps,
            queues,
            ahead,
            exchanges_seen,
            queues_seen,
            ..
        } = explained;
        let Some(step) = steps.get_mut(place) else {
            return;
        };
        step.destinations = matched
            .iter()
            .filter_map(|target| self.destination(*target))
            .collect();
        step.by_lot = matches!(entry.matcher, Matcher::Random(_)) && step.destinations.len() > 1;
        if step.exchange.name.is_empty() {
            let destinations = step.destinations.iter();
            step.bindings = destinations
                .filter_map(|queue| self.bindings_by_destination(queue).into_iter().next())
                .collect();
        }
        let alternate = entry.alternate.clone().map(|exchange| Alternate {
            exists: self.exchange_slot(&exchange).is_some(),
            is_taken: matched.is_empty(),
            exchange,
        });
        let alternate_slot = alternate
            .as_ref()
            .filter(|alternate| alternate.is_taken)
            .and_then(|alternate| self.exchange_slot(&alternate.exchange))
            .map(Target::Exchange);
        step.alternate = alternate;
        let certain = step.certain && !step.by_lot;
        let mut via = step.via.clone();
        via.push(step.exchange.name.clone());
        for target in matched.iter().copied().chain(alternate_slot) {
            match target {
                Target::Exchange(slot) if exchanges_seen.insert(slot) => {
                    let via = via.clone();
                    let next = Ahead { slot, via, certain };
                    // So that what is reached both ways is known as certain.
                    if certain {
                        ahead.push_front(next);
                    } else {
                        ahead.push_back(next);
                    }
                }
                Target::Queue(slot) if queues_seen.insert(slot) => {
                    let queue = self.queue_at(slot);
                    queues.extend(queue.map(|entry| Reached {
                        queue: entry.handle.clone(),
                        via: via.clone(),
                        certain,
                    }));
                }
                Target::Exchange(_) | Target::Queue(_) => {}
            }
        }
    }

    fn destination(&self, target: Target) -> Option<Destination> {
        Some(match target {
            Target::Queue(slot) => Destination::Queue(self.queue_at(slot)?.definition.name.clone()),
            Target::Exchange(slot) => {
                Destination::Exchange(self.exchange_at(slot)?.definition.name.clone())
            }
        })
    }
}

impl Step {
    fn new(entry: &ExchangeEntry, ahead: Ahead) -> Self {
        Self {
            exchange: Arc::clone(&entry.definition),
            via: ahead.via,
            delay_ms: None,
            bindings: Vec::new(),
            destinations: BTreeSet::new(),
            named: None,
            by_lot: false,
            alternate: None,
            certain: ahead.certain,
        }
    }
}
