//! What is bound to an exchange, and what changed about it: what instances catch up with.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::binding::Binding;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// Changes that are remembered beyond the number of bindings: an instance that is further behind compares everything.
const REMEMBERED: usize = 64;

/// The bindings of one exchange.
#[derive(Debug, Default)]
pub(crate) struct Bindings {
    /// The number of changes so far, so that who is up to date need not lock.
    version: AtomicU64,
    log: Mutex<Log>,
}

#[derive(Debug, Default)]
struct Log {
    current: HashMap<u32, Arc<Binding>, RandomState>,
    /// The ids of the last changes, each of a binding that came or went.
    changes: VecDeque<u32>,
}

/// What an instance has to be told.
#[derive(Debug, Default)]
pub(crate) struct Delta {
    pub(crate) version: u64,
    pub(crate) add: Vec<(u32, Arc<Binding>)>,
    pub(crate) remove: Vec<u32>,
}

impl Bindings {
    pub(crate) fn bind(&self, id: u32, binding: &Arc<Binding>) {
        let mut log = self.log.lock();
        log.current.insert(id, Arc::clone(binding));
        self.note(id, &mut log);
    }

    pub(crate) fn unbind(&self, id: u32) {
        let mut log = self.log.lock();
        if log.current.remove(&id).is_some() {
            self.note(id, &mut log);
        }
    }

    fn note(&self, id: u32, log: &mut Log) {
        log.changes.push_back(id);
        while log.changes.len() > log.current.len() + REMEMBERED {
            log.changes.pop_front();
        }
        // Published with the lock held, so that who sees the number finds the change.
        self.version.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// What changed since version `since`, for someone who knows the bindings `known`.
    pub(crate) fn delta(&self, since: u64, known: &[u32]) -> Delta {
        let log = self.log.lock();
        let version = self.version.load(Ordering::Acquire);
        let behind = usize::try_from(version.saturating_sub(since)).unwrap_or(usize::MAX);
        let mut delta = Delta {
            version,
            ..Delta::default()
        };
        let is_known = |id: &u32| known.binary_search(id).is_ok();
        if behind <= log.changes.len() {
            let mut ids: Vec<u32> = log
                .changes
                .range(log.changes.len() - behind..)
                .copied()
                .collect();
            ids.sort_unstable();
            ids.dedup();
            for id in ids {
                match log.current.get(&id) {
                    Some(binding) if !is_known(&id) => delta.add.push((id, Arc::clone(binding))),
                    None if is_known(&id) => delta.remove.push(id),
                    Some(_) | None => {}
                }
            }
            return delta;
        }
        let missing = log.current.iter().filter(|(id, _)| !is_known(id));
        delta.add = missing
            .map(|(id, binding)| (*id, Arc::clone(binding)))
            .collect();
        delta.add.sort_unstable_by_key(|(id, _)| *id);
        let gone = known.iter().filter(|id| !log.current.contains_key(id));
        delta.remove = gone.copied().collect();
        delta
    }
}

#[cfg(test)]
mod tests {
    use amphora_core::binding::Destination;
    use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey};

    use super::*;

    fn binding() -> Arc<Binding> {
        Arc::new(Binding {
            source: ExchangeName::default(),
            destination: Destination::Queue(QueueName::default()),
            routing_key: RoutingKey::default(),
            arguments: amphora_core::binding::BindingArguments::default(),
        })
    }

    /// Applies a delta to a copy, as an instance does.
    fn catch_up(bindings: &Bindings, version: &mut u64, known: &mut Vec<u32>) {
        let delta = bindings.delta(*version, known);
        known.retain(|id| !delta.remove.contains(id));
        for (id, _) in delta.add {
            assert!(!known.contains(&id), "{id} is added twice");
            known.push(id);
        }
        known.sort_unstable();
        *version = delta.version;
    }

    #[test]
    fn whoever_catches_up_whenever_knows_what_there_is() {
        arbtest::arbtest(|u| {
            let bindings = Bindings::default();
            let mut there = Vec::new();
            let mut next = 0;
            let mut copies = [(0, Vec::new()), (0, Vec::new())];
            for _ in 0..u.arbitrary_len::<u16>()? {
                match u.int_in_range(0..=9)? {
                    0 => {
                        let (version, known) = &mut copies[0];
                        catch_up(&bindings, version, known);
                        assert_eq!(*known, there);
                    }
                    1..=5 => {
                        bindings.bind(next, &binding());
                        there.push(next);
                        next += 1;
                    }
                    _ if there.is_empty() => bindings.unbind(next),
                    _ => {
                        let index = u.choose_index(there.len())?;
                        bindings.unbind(there.remove(index));
                    }
                }
            }
            // The second copy has seen nothing until now.
            for (version, known) in &mut copies {
                catch_up(&bindings, version, known);
                assert_eq!(*known, there);
                assert_eq!(*version, bindings.version());
            }
            Ok(())
        });
    }

    #[test]
    fn the_log_does_not_grow_with_what_is_over() {
        let bindings = Bindings::default();
        for id in 0..10_000 {
            bindings.bind(id, &binding());
            bindings.unbind(id);
        }
        assert!(bindings.log.lock().changes.len() <= REMEMBERED);
        assert_eq!(bindings.version(), 20_000);
        assert!(bindings.delta(0, &[]).add.is_empty());
    }
}
