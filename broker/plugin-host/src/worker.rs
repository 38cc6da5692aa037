//! Each thread's own instances, so that nothing is ever called under a lock.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use amphora_core::hook::{Fault, Origin, PackedBatch, Verdict, project};
use foldhash::fast::RandomState;

use crate::contract;
use crate::counters::Tally;
use crate::environment::Outgoing;
use crate::exchange::Exchange;
use crate::instance::Failure;
use crate::plugin::{Plugin, Version};
use crate::running::Running;

/// Raised whenever an instance somewhere may have become useless.
static CHANGES: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

/// What a thread has.
#[derive(Default)]
struct Worker {
    changes: u64,
    residents: HashMap<u64, Resident, RandomState>,
    /// A message for a transform, as it is being packed.
    packed: Vec<u8>,
}

/// What a thread has of one plugin.
struct Resident {
    plugin: Weak<Plugin>,
    tally: Arc<Tally>,
    running: Option<Box<Running>>,
}

/// A call that was answered.
#[derive(Debug)]
pub(crate) struct Done<T> {
    pub(crate) answer: T,
    pub(crate) time: Duration,
    pub(crate) sent: Vec<Outgoing>,
}

/// Says that a version or plugin is not in force any more: each thread drops what it has of it with its next call.
pub(crate) fn changed() {
    CHANGES.fetch_add(1, Ordering::Release);
}

/// Routes a batch with this thread's instance.
pub(crate) fn route(
    plugin: &Arc<Plugin>,
    exchange: &Exchange,
    batch: &PackedBatch,
    answer: &mut Vec<u32>,
) -> Result<Done<()>, Failure> {
    with_instance(plugin, batch.len(), |running, _| {
        if running.version.fingerprint != batch.needs_fingerprint() {
            let text = "it was replaced by a version that needs to see something else";
            return Err(Failure::harmless(Fault::Replaced, text));
        }
        let known = running.catch_up(exchange)?;
        let begun = Instant::now();
        running.route(known, batch, answer)?;
        Ok(((), begun.elapsed()))
    })
}

/// Transforms a message with this thread's instance.
pub(crate) fn apply(
    plugin: &Arc<Plugin>,
    message: &Origin<'_>,
    queue: Option<&str>,
) -> Result<Done<Verdict>, Failure> {
    with_instance(plugin, 1, |running, packed| {
        let needs = &running.version.needs;
        packed.clear();
        packed.resize(amphora_core::hook::HEAD, 0);
        project(needs, message, packed).map_err(|error| {
            let text = format!("the message's content header is damaged: {error}");
            Failure::harmless(Fault::Refused, text)
        })?;
        let messages = contract::messages(needs, packed, 1)
            .map_err(|error| Failure::harmless(Fault::BadAnswer, error))?;
        let begun = Instant::now();
        let mut verdict = None;
        for message in messages {
            verdict = Some(running.instance.apply(message, queue)?);
        }
        let time = begun.elapsed();
        let verdict = verdict.ok_or_else(|| {
            Failure::harmless(Fault::BadAnswer, "a message was packed as none".to_owned())
        })?;
        let verdict = contract::verdict(verdict, message.properties)
            .map_err(|error| Failure::harmless(Fault::BadAnswer, format!("apply: {error}")))?;
        Ok((verdict, time))
    })
}

fn with_instance<T>(
    plugin: &Arc<Plugin>,
    messages: usize,
    call: impl FnOnce(&mut Running, &mut Vec<u8>) -> Result<(T, Duration), Failure>,
) -> Result<Done<T>, Failure> {
    let version = plugin.current.load();
    let Some(version) = &*version else {
        return Err(Failure::harmless(Fault::NotLoaded, "it is not loaded"));
    };
    WORKER.with_borrow_mut(|worker| {
        worker.sweep();
        let Worker {
            residents, packed, ..
        } = worker;
        let resident = residents.entry(plugin.id).or_insert_with(|| Resident {
            plugin: Arc::downgrade(plugin),
            tally: plugin.counters.tally(),
            running: None,
        });
        let done = resident.call(plugin, version, |running| {
            let (answer, time) = call(running, packed)?;
            let sent = running.instance.take_sent();
            Ok(Done { answer, time, sent })
        });
        if let Ok(done) = &done {
            let nanoseconds = u64::try_from(done.time.as_nanos()).unwrap_or(u64::MAX);
            resident.tally.count(messages, nanoseconds);
        }
        done
    })
}

impl Worker {
    /// Drops what is of no use any more.
    fn sweep(&mut self) {
        let changes = CHANGES.load(Ordering::Acquire);
        if self.changes == changes {
            return;
        }
        self.changes = changes;
        self.residents.retain(|_, resident| {
            let Some(plugin) = resident.plugin.upgrade() else {
                return false;
            };
            let in_force = plugin.current.load().as_ref().map(|version| version.number);
            if let Some(running) = &resident.running
                && Some(running.version.number) != in_force
            {
                resident.running = None;
            }
            true
        });
    }
}

impl Resident {
    /// Calls an instance of this version, which is made if there is none, and dropped if it must not be called again.
    fn call<T>(
        &mut self,
        plugin: &Plugin,
        version: &Arc<Version>,
        call: impl FnOnce(&mut Running) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let current = self.running.take();
        let current = current.filter(|running| running.version.number == version.number);
        let mut running = match current {
            Some(running) => running,
            None => Box::new(Running::start(plugin, version)?),
        };
        let answer = call(&mut running);
        if !answer.as_ref().is_err_and(|failure| failure.is_fatal) {
            // What a call sent that failed goes nowhere.
            if answer.is_err() {
                drop(running.instance.take_sent());
            }
            self.running = Some(running);
        }
        answer
    }
}
