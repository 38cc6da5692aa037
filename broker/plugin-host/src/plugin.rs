//! A plugin by its name, whichever version of it is in force.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use amphora_core::hook::{Fault, HookError, Needs};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use wasmtime::Engine;

use crate::code::Code;
use crate::code_cache::CodeCache;
use crate::counters::Counters;
use crate::environment::Environment;
use crate::exchange::ExchangeType;
use crate::fault::{hook_error, one_line};
use crate::grants::{Grants, Shared};
use crate::health::{Entry, Health, Turn};
use crate::instance::Failure;
use crate::lane::Lane;
use crate::pace::Pace;
use crate::snapshot::{LastError, PluginState, Snapshot, VersionSnapshot};
use crate::spec::PluginSpec;
use crate::state::{State, Usage};
use crate::ticker::{Ticker, Watch};
use crate::verdicts::Verdicts;

/// Bytes of a message that a plugin may choke on without being blamed.
const LARGE: usize = 256 << 10;

/// What all plugins of a host share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) cache: Option<CodeCache>,
    pub(crate) environment: Arc<dyn Environment>,
    pub(crate) watch: Watch,
    /// Pure answers of transforms are kept.
    pub(crate) keeps_answers: bool,
    /// Held while versions and types of exchange pass from one to another, which takes microseconds.
    pub(crate) passing: Mutex<()>,
    /// Held so that deadlines are watched as long as anything can be called.
    pub(crate) _ticker: Ticker,
}

/// A plugin.
#[derive(Debug)]
pub(crate) struct Plugin {
    pub(crate) name: Arc<str>,
    /// Tells plugins apart in one process, of whichever host.
    pub(crate) id: u64,
    pub(crate) world: Arc<World>,
    pub(crate) current: ArcSwapOption<Version>,
    pub(crate) health: Health,
    pub(crate) counters: Counters,
    pub(crate) shared: Arc<Shared>,
    pub(crate) usage: Arc<Usage>,
    /// Held by whoever changes what is in force.
    pub(crate) control: Mutex<Control>,
    pub(crate) notes: Mutex<Notes>,
}

/// What only those need who change what is in force.
#[derive(Debug, Default)]
pub(crate) struct Control {
    pub(crate) previous: Option<Arc<Version>>,
}

/// What listings say beside the counters.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) last_error: Option<LastError>,
    pub(crate) previous: Option<VersionSnapshot>,
    pub(crate) load_failed: bool,
}

/// A component that was tried and found good.
pub(crate) struct Version {
    /// Tells versions apart in one process.
    pub(crate) number: u64,
    pub(crate) spec: Arc<PluginSpec>,
    pub(crate) code: Code,
    pub(crate) described_name: String,
    pub(crate) release: String,
    pub(crate) needs: Arc<Needs>,
    pub(crate) fingerprint: u64,
    pub(crate) loaded_ms: AtomicU64,
    pub(crate) pace: Pace,
    pub(crate) lane: Lane,
    pub(crate) verdicts: Verdicts,
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("number", &self.number)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// A number that no other plugin or version has.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Version {
    /// Whether it supplies this type of exchange.
    #[inline]
    pub(crate) fn supplies(&self, exchange_type: &ExchangeType) -> bool {
        self.spec.exchange_type.as_deref() == Some(&*exchange_type.name)
    }

    pub(crate) fn snapshot(&self) -> VersionSnapshot {
        let spec = &self.spec;
        VersionSnapshot {
            described_name: self.described_name.clone(),
            version: self.release.clone(),
            sha256: self.code.compiled.sha256.clone(),
            size: self.code.compiled.size,
            loaded_ms: self.loaded_ms.load(Ordering::Relaxed),
            kinds: self.code.compiled.kinds,
            exchange_type: spec.exchange_type.clone(),
            needs: Arc::clone(&self.needs),
            grants: spec.grants.clone(),
            deadline: spec.deadline,
            memory_max: spec.memory_max,
            on_error: spec.on_error,
        }
    }
}

impl Plugin {
    pub(crate) fn new(name: &str, world: &Arc<World>) -> Self {
        Self {
            name: name.into(),
            id: unique(),
            world: Arc::clone(world),
            current: ArcSwapOption::empty(),
            health: Health::default(),
            counters: Counters::default(),
            shared: Arc::default(),
            usage: Arc::default(),
            control: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    /// The data of a new instance.
    pub(crate) fn state(&self, spec: &Arc<PluginSpec>) -> State {
        self.state_with(spec, self.grants(spec))
    }

    /// The data of a new instance of which nothing must come.
    pub(crate) fn state_of_rehearsal(&self, spec: &Arc<PluginSpec>) -> State {
        self.state_with(spec, self.grants(spec).of_rehearsal())
    }

    fn grants(&self, spec: &Arc<PluginSpec>) -> Grants {
        Grants::new(
            Arc::clone(&self.name),
            Arc::clone(spec),
            Arc::clone(&self.shared),
            Arc::clone(&self.world.environment),
        )
    }

    fn state_with(&self, spec: &PluginSpec, grants: Grants) -> State {
        State::new(
            grants,
            self.world.watch.clone(),
            spec.memory_max,
            Arc::clone(&self.usage),
        )
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.world.environment.monotonic_ns()
    }

    pub(crate) fn error(&self, fault: Fault, text: impl Into<String>) -> HookError {
        hook_error(&self.name, fault, text.into())
    }

    pub(crate) fn not_loaded(&self) -> HookError {
        self.error(Fault::NotLoaded, "it is not loaded")
    }

    /// Whether a call may be made, and of which version.
    pub(crate) fn enter(&self, messages: usize) -> Result<(Entry, Arc<Version>), HookError> {
        let entry = self.health.enter(|| self.now_ns());
        if let Entry::Closed(rest) = entry {
            self.counters.fault(Fault::Quarantined, messages);
            return Err(self.quarantined(rest));
        }
        let Some(version) = self.current.load_full() else {
            self.counters.fault(Fault::NotLoaded, messages);
            return Err(self.not_loaded());
        };
        Ok((entry, version))
    }

    /// Waits until types of exchange have passed, if they do just now.
    pub(crate) fn let_types_pass(&self) {
        drop(self.world.passing.lock());
    }

    pub(crate) fn quarantined(&self, rest: Duration) -> HookError {
        let text = format!(
            "it failed too often and is not called for another {} ms",
            rest.as_millis()
        );
        self.error(Fault::Quarantined, text)
    }

    /// A call succeeded.
    #[inline]
    pub(crate) fn succeeded(&self, entry: Entry, version: &Version) {
        let failed = Some(false);
        let turn = self
            .health
            .over(entry, failed, version.number, || self.now_ns());
        if turn == Turn::Healed {
            tracing::info!(plugin = &*self.name, "the plugin works again");
        }
    }

    /// The plugin was not called after all, which says nothing of how it is doing.
    pub(crate) fn unasked(&self, entry: Entry, version: &Version) {
        let now = || self.now_ns();
        self.health.over(entry, None, version.number, now);
    }

    /// Something failed, for listings.
    pub(crate) fn note_error(&self, text: String) {
        let at_ms = self.world.environment.now_ms();
        self.notes.lock().last_error = Some(LastError { text, at_ms });
    }

    /// A call with so many messages and bytes failed: counts it, notes it, and puts the plugin into quarantine if it was too much.
    ///
    /// If there are several messages, each half is tried by itself, and the plugin is blamed for what fails then. What a large message costs
    /// in time and memory is the publisher's doing.
    pub(crate) fn failed(
        &self,
        (entry, version): (Entry, &Version),
        failure: Failure,
        (messages, bytes): (usize, usize),
    ) -> HookError {
        let Failure { fault, text, .. } = failure;
        let is_last = messages == 1 || !fault.may_be_one_messages();
        self.counters
            .fault(fault, if is_last { messages } else { 0 });
        let error = self.error(fault, text);
        let is_costly = matches!(fault, Fault::Memory | Fault::Timeout) && bytes > LARGE;
        let failed = fault.is_failure() && is_last;
        let blamed = (failed && !is_costly).then_some(true);
        let turn = self
            .health
            .over(entry, blamed, version.number, || self.now_ns());
        if failed {
            self.note_error(error.text.clone());
        }
        match turn {
            Turn::Failing => {
                let text = one_line(&error.text);
                tracing::warn!(plugin = &*self.name, "the plugin fails: {text}");
            }
            Turn::Quarantined(rest) => {
                self.counters.quarantines.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    plugin = &*self.name,
                    "the plugin fails too often and is not called for {} s: {}",
                    rest.as_secs(),
                    one_line(&error.text)
                );
            }
            Turn::None | Turn::Healed => {}
        }
        error
    }

    pub(crate) fn snapshot(&self, exchanges: u64) -> Snapshot {
        let version = self.current.load_full();
        let notes = self.notes.lock();
        let state = match &version {
            Some(_) => match self.health.quarantine(|| self.now_ns()) {
                Some(rest) => PluginState::Quarantined(rest),
                None => PluginState::Loaded,
            },
            None if notes.load_failed => PluginState::Failed,
            None => PluginState::NotLoaded,
        };
        let (last_error, previous) = (notes.last_error.clone(), notes.previous.clone());
        drop(notes);
        let (kv_entries, kv_bytes) = self.shared.kv.size();
        let kept = version
            .as_ref()
            .map_or(0, |version| version.verdicts.bytes() as u64);
        let (metrics, metrics_dropped) = self.shared.metrics.snapshot();
        Snapshot {
            name: self.name.to_string(),
            state,
            version: version.as_ref().map(|version| version.snapshot()),
            previous,
            last_error,
            counters: self.counters.snapshot(),
            memory: self.usage.memory.load(Ordering::Relaxed) + kept,
            instances: self.usage.instances.load(Ordering::Relaxed),
            exchanges,
            kv_entries,
            kv_bytes,
            log_dropped: self.shared.log.dropped(),
            metrics_dropped,
            metrics,
        }
    }
}
