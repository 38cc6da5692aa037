//! How many messages each exchange has routed, gathered by those who publish.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::exchange::ExchangeType;
use amphora_core::topology::{Change, Changes};
use amphora_protocol::wire::types::ExchangeName;
use foldhash::fast::FixedState;
use parking_lot::RwLock;

/// What one exchange has routed.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Messages that were published to it.
    pub(super) received: AtomicU64,
    /// The queues that they went to, each counted.
    pub(super) routed: AtomicU64,
    /// Those of them that a plugin was asked about: the exchange's own, if its type is a plugin's.
    pub(super) asked: AtomicU64,
}

impl Traffic {
    /// Messages whose way was known, so that the exchange's plugin was not asked about them.
    fn unasked(&self) -> u64 {
        // Read in this order, as they are raised the other way round.
        let asked = self.asked.load(Ordering::Acquire);
        self.received.load(Ordering::Acquire).saturating_sub(asked)
    }
}

/// The exchanges of a virtual host.
#[derive(Debug, Default)]
pub(super) struct Exchanges(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<ExchangeName, Arc<Traffic>>,
    /// What plugins were not asked about, by types of exchange: for exchanges that are gone.
    unasked: HashMap<Box<str>, u64>,
}

impl Exchanges {
    /// Those that exist when the virtual host comes to be.
    pub(super) fn of(names: impl Iterator<Item = ExchangeName>) -> Self {
        Self(RwLock::new(Known {
            by_name: names.map(|name| (name, Arc::default())).collect(),
            ..Known::default()
        }))
    }

    /// Follows the topology: an exchange that is declared anew begins at 0.
    pub(super) fn follow(&self, changes: &Changes) {
        for change in &changes.0 {
            match change {
                Change::ExchangeCreated(exchange) => {
                    let mut known = self.0.write();
                    known.by_name.insert(exchange.name.clone(), Arc::default());
                }
                Change::ExchangeDeleted(exchange) => {
                    let mut known = self.0.write();
                    let gone = known.by_name.remove(&exchange.name);
                    if let (Some(gone), ExchangeType::Plugin(name)) =
                        (gone, &exchange.exchange_type)
                    {
                        *known.unasked.entry((&**name).into()).or_default() += gone.unasked();
                    }
                }
                _ => {}
            }
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Traffic>> {
        self.0.read().by_name.get(name).cloned()
    }

    /// The messages that all exchanges of the type have received, and their plugin was not asked about. `names` are those that there are.
    pub(super) fn unasked<'a>(
        &self,
        exchange_type: &str,
        names: impl Iterator<Item = &'a ExchangeName>,
    ) -> u64 {
        let known = self.0.read();
        let gone = known.unasked.get(exchange_type).copied();
        let there = names.filter_map(|name| known.by_name.get(name));
        gone.unwrap_or_default() + there.map(|traffic| traffic.unasked()).sum::<u64>()
    }
}

/// What one publisher has routed since it told the exchanges: they are shared, and a message must not cost an atomic
/// operation.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    numbers: HashMap<Box<str>, u32, FixedState>,
    counts: Vec<Count>,
    /// The numbers of the exchanges that something was counted for.
    counted: Vec<u32>,
}

#[derive(Debug)]
struct Count {
    of: Arc<Traffic>,
    received: u64,
    routed: u64,
    asked: u64,
}

impl Gathered {
    /// The number that the exchange has until [`Gathered::forget`].
    pub(super) fn number(&mut self, exchanges: &Exchanges, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.counts.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.into(), number);
        self.counts.push(Count {
            // One that is gone by now is counted for nobody.
            of: exchanges.get(name).unwrap_or_default(),
            received: 0,
            routed: 0,
            asked: 0,
        });
        number
    }

    /// Counts messages of which each went from the exchange to so many queues.
    #[inline]
    pub(super) fn count(&mut self, exchange: u32, messages: u64, queues: usize) {
        if let Some(count) = self.counts.get_mut(exchange as usize) {
            if count.received == 0 {
                self.counted.push(exchange);
            }
            count.received += messages;
            count.routed += messages * queues as u64;
        }
    }

    /// As [`Gathered::count`], for one message, which a plugin may have been asked about.
    #[inline]
    pub(super) fn count_one(&mut self, exchange: u32, queues: usize, was_asked: bool) {
        self.count(exchange, 1, queues);
        if was_asked && let Some(count) = self.counts.get_mut(exchange as usize) {
            count.asked += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.counted.is_empty()
    }

    /// Hands on all that was counted.
    pub(super) fn tell(&mut self) {
        for exchange in self.counted.drain(..) {
            if let Some(Count {
                of,
                received,
                routed,
                asked,
            }) = self.counts.get_mut(exchange as usize)
            {
                of.received
                    .fetch_add(std::mem::take(received), Ordering::Relaxed);
                of.routed
                    .fetch_add(std::mem::take(routed), Ordering::Relaxed);
                if *asked > 0 {
                    of.asked.fetch_add(std::mem::take(asked), Ordering::Relaxed);
                }
            }
        }
    }

    /// Forgets the exchanges, which may not be the same any more.
    pub(super) fn forget(&mut self) {
        self.tell();
        self.counts.clear();
        self.numbers.clear();
    }
}
