//! An instance, and what it was told of exchanges and bindings.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use amphora_core::hook::{Fault, PackedBatch};
use foldhash::fast::RandomState;

use crate::contract;
use crate::contract::types;
use crate::exchange::Exchange;
use crate::fault::one_line;
use crate::ids::Ids;
use crate::instance::{Failure, Instance};
use crate::plugin::{Plugin, Version};
use crate::state::State;

/// Bindings in one call, at most: an exchange with a great many is told in several.
const REBIND_MAX: usize = 4096;

/// An instance of a version.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) version: Arc<Version>,
    pub(crate) instance: Instance,
    exchanges: HashMap<u32, Known, RandomState>,
    deletions: u64,
}

/// An exchange that the instance was told of.
#[derive(Debug)]
struct Known {
    exchange: Weak<Exchange>,
    version: u64,
    ids: Ids,
}

/// Says what an instance was told of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told(u32);

/// What to do with a binding that the plugin refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// It matches nothing, and the others go on.
    Skip,
    /// It fails.
    Fail,
}

impl Running {
    pub(crate) fn start(plugin: &Plugin, version: &Arc<Version>) -> Result<Self, Failure> {
        Self::start_with(version, plugin.state(&version.spec))
    }

    /// Starts an instance of which nothing must come.
    pub(crate) fn start_rehearsal(
        plugin: &Plugin,
        version: &Arc<Version>,
    ) -> Result<Self, Failure> {
        Self::start_with(version, plugin.state_of_rehearsal(&version.spec))
    }

    fn start_with(version: &Arc<Version>, state: State) -> Result<Self, Failure> {
        let mut instance = Instance::start(&version.code, state, version.spec.deadline)?;
        let description = instance.describe()?;
        if amphora_core::hook::Needs::from(description.needs) != *version.needs {
            let text = "describe: it does not say the same in all instances";
            return Err(Failure::fatal(Fault::BadAnswer, text));
        }
        Ok(Self::new(version, instance))
    }

    /// An instance that was told of nothing yet.
    pub(crate) fn new(version: &Arc<Version>, instance: Instance) -> Self {
        Self {
            version: Arc::clone(version),
            instance,
            exchanges: HashMap::default(),
            deletions: 0,
        }
    }

    /// Tells the instance what has changed about an exchange since the last call.
    pub(crate) fn catch_up(&mut self, exchange: &Exchange) -> Result<Told, Failure> {
        self.forget_deleted(exchange)?;
        self.tell(exchange, Refusal::Skip)
    }

    /// Whether the instance was told of all that a call for this exchange needs.
    #[inline]
    pub(crate) fn knows(&self, exchange: &Exchange) -> bool {
        let known = self.exchanges.get(&exchange.id);
        known.is_some_and(|known| known.version == exchange.bindings.version())
            && self.deletions == exchange.of_type.deletions()
    }

    /// Tells the instance of an exchange and its bindings.
    pub(crate) fn tell(&mut self, exchange: &Exchange, refusal: Refusal) -> Result<Told, Failure> {
        let told = Told(exchange.id);
        if let Some(known) = self.exchanges.get(&exchange.id) {
            if known.version == exchange.bindings.version() {
                return Ok(told);
            }
        } else {
            self.instance.create(
                exchange.id,
                &exchange.vhost,
                &exchange.name,
                contract::lowered_table(&exchange.arguments),
            )?;
            let known = Known {
                exchange: exchange.weak(),
                version: 0,
                ids: Ids::default(),
            };
            self.exchanges.insert(exchange.id, known);
        }
        self.rebind(exchange, refusal)?;
        Ok(told)
    }

    fn rebind(&mut self, exchange: &Exchange, refusal: Refusal) -> Result<(), Failure> {
        let Some(known) = self.exchanges.get_mut(&exchange.id) else {
            return Ok(());
        };
        let delta = exchange.bindings.delta(known.version, known.ids.sorted());
        let mut remove = delta.remove.clone();
        let mut skipped = Vec::new();
        for chunk in chunks(&delta.add) {
            let add: Vec<types::Binding> = chunk
                .iter()
                .map(|(id, binding)| lowered(*id, binding))
                .collect();
            let gone = std::mem::take(&mut remove);
            let bound = self.instance.rebind(exchange.id, add.clone(), gone.clone());
            match bound {
                Ok(()) => {}
                Err(failure) if failure.is_fatal || refusal == Refusal::Fail => {
                    return Err(failure);
                }
                // Everything is as it was, so each is tried by itself.
                Err(_) => {
                    if !gone.is_empty() {
                        let removed = self.instance.rebind(exchange.id, Vec::new(), gone);
                        // It knows bindings that there are not: another one knows only those that there are.
                        removed.map_err(Failure::made_fatal)?;
                    }
                    for binding in add {
                        let id = binding.id;
                        match self.instance.rebind(exchange.id, vec![binding], Vec::new()) {
                            Ok(()) => {}
                            Err(failure) if failure.is_fatal => return Err(failure),
                            Err(failure) => skipped.push((id, failure.text)),
                        }
                    }
                }
            }
        }
        if let Some((_, text)) = skipped.first() {
            tracing::warn!(
                exchange = exchange.name.as_str(),
                vhost = exchange.vhost.as_str(),
                "the plugin refuses {} bindings, which match nothing now: {}",
                skipped.len(),
                one_line(text)
            );
        }
        let added = delta.add.iter().map(|(id, _)| *id);
        let skipped: HashSet<u32> = skipped.into_iter().map(|(id, _)| id).collect();
        known
            .ids
            .change(added.filter(|id| !skipped.contains(id)), &delta.remove);
        known.version = delta.version;
        Ok(())
    }

    /// Tells the instance of exchanges that are gone.
    fn forget_deleted(&mut self, exchange: &Exchange) -> Result<(), Failure> {
        let deletions = exchange.of_type.deletions();
        if self.deletions == deletions {
            return Ok(());
        }
        let gone = self.exchanges.iter();
        let gone = gone.filter(|(_, known)| known.exchange.strong_count() == 0);
        let gone: Vec<u32> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.exchanges.remove(&id);
            self.instance.delete(id)?;
        }
        self.deletions = deletions;
        Ok(())
    }

    /// Routes a batch, and checks the answer while it is copied.
    pub(crate) fn route(
        &mut self,
        told: Told,
        batch: &PackedBatch,
        answer: &mut Vec<u32>,
    ) -> Result<(), Failure> {
        let Told(exchange) = told;
        let ids = self.exchanges.get(&exchange).map(|known| &known.ids);
        let ids = ids.ok_or_else(|| {
            Failure::harmless(Fault::NotLoaded, "the exchange is not there".to_owned())
        })?;
        if self.instance.is_packed() {
            let numbers = self.instance.route_packed(exchange, batch.bytes())?;
            return copy_flat(&numbers, batch.len(), ids, answer)
                .map_err(|error| bad_answer("exchange-packed.route", &error));
        }
        let needs = &self.version.needs;
        let messages = contract::messages(needs, batch.bytes(), batch.len())
            .map_err(|error| Failure::harmless(Fault::BadAnswer, error))?;
        let lists = self.instance.route_typed(exchange, messages)?;
        copy_lists(&lists, batch.len(), ids, answer)
            .map_err(|error| bad_answer("exchange-typed.route", &error))
    }
}

fn bad_answer(call: &str, error: &str) -> Failure {
    Failure::harmless(Fault::BadAnswer, format!("{call}: {error}"))
}

fn chunks<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    // One call is made if there is nothing to add, because something may have to be removed.
    let empty = all.is_empty().then_some(all);
    all.chunks(REBIND_MAX).chain(empty)
}

pub(crate) fn lowered(id: u32, binding: &amphora_core::binding::Binding) -> types::Binding {
    types::Binding {
        id,
        destination: binding.destination.name().to_owned(),
        routing_key: binding.routing_key.to_string(),
        arguments: contract::lowered_table(binding.arguments.table()),
    }
}

/// Appends `[n, id * n]` for each message. Answers to parts of a batch add up, so nothing is taken that is more than the bindings.
fn copy_flat(
    numbers: &[u32],
    messages: usize,
    ids: &Ids,
    answer: &mut Vec<u32>,
) -> Result<(), String> {
    let mut rest = numbers;
    let mut is_short = true;
    for index in 0..messages {
        let Some((count, others)) = rest.split_first() else {
            return Err(format!(
                "the answer ends before message {index} of {messages}"
            ));
        };
        let Some((named, others)) = others.split_at_checked(*count as usize) else {
            return Err(format!(
                "message {index} is said to go to {count} bindings, and {} numbers follow",
                others.len()
            ));
        };
        check(named, index, ids)?;
        is_short &= named.len() <= ids.len();
        rest = others;
    }
    if !rest.is_empty() {
        return Err(format!(
            "{} numbers follow the answer for the last message",
            rest.len()
        ));
    }
    if is_short {
        answer.extend_from_slice(numbers);
        return Ok(());
    }
    let mut rest = numbers;
    while let Some((count, others)) = rest.split_first() {
        let Some((named, others)) = others.split_at_checked(*count as usize) else {
            return Ok(());
        };
        append(named, ids, answer)?;
        rest = others;
    }
    Ok(())
}

fn copy_lists(
    lists: &[Vec<u32>],
    messages: usize,
    ids: &Ids,
    answer: &mut Vec<u32>,
) -> Result<(), String> {
    if lists.len() != messages {
        return Err(format!(
            "the answer has {} lists, and the batch {messages} messages",
            lists.len()
        ));
    }
    for (index, list) in lists.iter().enumerate() {
        check(list, index, ids)?;
        append(list, ids, answer)?;
    }
    Ok(())
}

/// Appends the number of ids, and the ids. If they are more than the bindings, some are there again, and count once.
fn append(named: &[u32], ids: &Ids, answer: &mut Vec<u32>) -> Result<(), String> {
    let mut push = |named: &[u32]| -> Result<(), String> {
        let count = u32::try_from(named.len()).map_err(|_| "a list is too long".to_owned())?;
        answer.push(count);
        answer.extend_from_slice(named);
        Ok(())
    };
    if named.len() <= ids.len() {
        return push(named);
    }
    let mut seen: HashSet<u32, RandomState> = HashSet::default();
    let once = named.iter().copied().filter(|id| seen.insert(*id));
    push(&once.collect::<Vec<u32>>())
}

#[inline]
fn check(named: &[u32], index: usize, ids: &Ids) -> Result<(), String> {
    match named.iter().find(|id| !ids.contains(**id)) {
        None => Ok(()),
        Some(id) => Err(format!(
            "message {index} is said to go to binding {id}, which the exchange does not have"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        let mut ids = Ids::default();
        ids.change([3, 4, 9].into_iter(), &[]);
        ids
    }

    fn flat(numbers: &[u32], messages: usize) -> Result<Vec<u32>, String> {
        let mut answer = Vec::new();
        copy_flat(numbers, messages, &ids(), &mut answer).map(|()| answer)
    }

    #[test]
    fn an_answer_that_is_as_it_must_be_is_copied() {
        assert_eq!(flat(&[1, 3, 0, 2, 9, 9], 3), Ok(vec![1, 3, 0, 2, 9, 9]));
        let mut answer = vec![7];
        let lists = [vec![3], vec![], vec![9, 9]];
        assert_eq!(copy_lists(&lists, 3, &ids(), &mut answer), Ok(()));
        assert_eq!(answer, [7, 1, 3, 0, 2, 9, 9]);
    }

    #[test]
    fn ids_that_are_more_than_the_bindings_count_once() {
        assert_eq!(
            flat(&[1, 3, 5, 9, 9, 4, 9, 4, 2, 4, 4], 3),
            Ok(vec![1, 3, 2, 9, 4, 2, 4, 4])
        );
        let mut answer = Vec::new();
        let lists = [vec![4; 1000], vec![3, 3]];
        assert_eq!(copy_lists(&lists, 2, &ids(), &mut answer), Ok(()));
        assert_eq!(answer, [1, 4, 2, 3, 3]);
    }

    #[test]
    fn any_other_answer_is_refused_in_words() {
        assert_eq!(
            flat(&[0], 2),
            Err("the answer ends before message 1 of 2".to_owned())
        );
        assert_eq!(
            flat(&[0, 0, 0], 2),
            Err("1 numbers follow the answer for the last message".to_owned())
        );
        assert_eq!(
            flat(&[u32::MAX, 3], 1),
            Err("message 0 is said to go to 4294967295 bindings, and 1 numbers follow".to_owned())
        );
        assert_eq!(
            flat(&[0, 1, 5], 2),
            Err(
                "message 1 is said to go to binding 5, which the exchange does not have".to_owned()
            )
        );
        let mut answer = Vec::new();
        assert!(copy_lists(&[vec![]], 2, &ids(), &mut answer).is_err());
        assert!(copy_lists(&[vec![8]], 1, &ids(), &mut answer).is_err());
    }
}
