//! Exchanges whose type is a plugin's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use amphora_core::binding::Binding;
use amphora_core::definition::ExchangeDefinition;
use amphora_core::hook::{
    BATCH_MAX, ExchangeHook, Fault, HookError, Needs, OnError, PackedBatch, Rehearsed,
};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, VhostName};
use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::bindings::Bindings;
use crate::call;
use crate::plugin::{Plugin, Version};
use crate::rehearse;

/// How many messages the first call has, before anything was measured: the plugin may be slow.
const BATCH_FIRST: usize = 1;

/// A type of exchange, and the plugin that supplies it, if there is one now.
#[derive(Debug)]
pub(crate) struct ExchangeType {
    pub(crate) name: Arc<str>,
    pub(crate) plugin: ArcSwapOption<Plugin>,
    exchanges: Mutex<HashMap<u32, Weak<Exchange>, RandomState>>,
    next: AtomicU32,
    /// How many exchanges are gone, so that instances know when to look for those that they still have.
    deletions: AtomicU64,
}

/// One exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    itself: Weak<Self>,
    /// Stands for it in calls; not used again for another one of its type.
    pub(crate) id: u32,
    pub(crate) of_type: Arc<ExchangeType>,
    pub(crate) vhost: VhostName,
    pub(crate) name: ExchangeName,
    pub(crate) arguments: FieldTable,
    pub(crate) bindings: Bindings,
    /// Nanoseconds that a message takes, on average over the last calls; 0 before the first.
    pace_ns: AtomicU64,
}

impl ExchangeType {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            plugin: ArcSwapOption::empty(),
            exchanges: Mutex::default(),
            next: AtomicU32::new(1),
            deletions: AtomicU64::new(0),
        }
    }

    pub(crate) fn declare(
        self: &Arc<Self>,
        vhost: &VhostName,
        definition: &ExchangeDefinition,
    ) -> Arc<Exchange> {
        let exchange = Arc::new_cyclic(|itself| Exchange {
            itself: Weak::clone(itself),
            id: self.next.fetch_add(1, Ordering::Relaxed),
            of_type: Arc::clone(self),
            vhost: vhost.clone(),
            name: definition.name.clone(),
            arguments: definition.arguments.clone(),
            bindings: Bindings::default(),
            pace_ns: AtomicU64::new(0),
        });
        let weak = Arc::downgrade(&exchange);
        self.exchanges.lock().insert(exchange.id, weak);
        exchange
    }

    /// All exchanges of the type.
    pub(crate) fn exchanges(&self) -> Vec<Arc<Exchange>> {
        let mut exchanges: Vec<_> = {
            let exchanges = self.exchanges.lock();
            exchanges.values().filter_map(Weak::upgrade).collect()
        };
        exchanges.sort_unstable_by_key(|exchange| exchange.id);
        exchanges
    }

    pub(crate) fn count(&self) -> u64 {
        self.exchanges.lock().len() as u64
    }

    pub(crate) fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::Acquire)
    }

    pub(crate) fn plugin(&self) -> Result<Arc<Plugin>, HookError> {
        self.plugin.load_full().ok_or_else(|| self.nobody())
    }

    /// The plugin that supplies the type, and its version that does.
    pub(crate) fn supplied(&self) -> Result<(Arc<Plugin>, Arc<Version>), HookError> {
        let found = || {
            let plugin = self.plugin()?;
            let version = plugin.current.load_full();
            let version = version.ok_or_else(|| plugin.not_loaded())?;
            Ok::<_, HookError>((plugin, version))
        };
        let (plugin, version) = found()?;
        if version.supplies(self) {
            return Ok((plugin, version));
        }
        plugin.let_types_pass();
        let (plugin, version) = found()?;
        if version.supplies(self) {
            Ok((plugin, version))
        } else {
            Err(self.nobody())
        }
    }

    fn nobody(&self) -> HookError {
        HookError::nobody(&self.name)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.of_type.exchanges.lock().remove(&self.id);
        self.of_type.deletions.fetch_add(1, Ordering::Release);
    }
}

impl Exchange {
    pub(crate) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.itself)
    }

    /// Learns how long a call took.
    fn took(&self, messages: usize, time: Duration) {
        let each = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX) / messages.max(1) as u64;
        let before = self.pace_ns.load(Ordering::Relaxed);
        let pace = if before == 0 {
            each
        } else {
            before - before / 8 + each / 8
        };
        self.pace_ns.store(pace.max(1), Ordering::Relaxed);
    }

    /// Learns that a call took too long: the next one has a quarter of its messages.
    fn took_too_long(&self, messages: usize, deadline: Duration) {
        let deadline = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        let pace = deadline / messages.max(1) as u64;
        self.pace_ns.fetch_max(pace.max(1), Ordering::Relaxed);
    }

    fn call(
        &self,
        plugin: &Arc<Plugin>,
        batch: &PackedBatch,
        answer: &mut Vec<u32>,
    ) -> Result<(), HookError> {
        let (entry, version) = plugin.enter(batch.len())?;
        if !version.supplies(&self.of_type) {
            plugin.unasked(entry, &version);
            plugin.let_types_pass();
            return Err(plugin.error(Fault::Replaced, "it supplies another type of exchange now"));
        }
        let before = answer.len();
        match call::route(plugin, &version, self, batch, answer) {
            Ok(routed) => {
                self.took(batch.len(), routed.time);
                plugin.succeeded(entry, &version);
                if !routed.sent.is_empty() {
                    let environment = &plugin.world.environment;
                    environment.publish(&plugin.name, routed.sent);
                }
                Ok(())
            }
            Err(failure) => {
                answer.truncate(before);
                if failure.fault == Fault::Timeout {
                    self.took_too_long(batch.len(), version.spec.deadline);
                }
                let messages = (batch.len(), batch.bytes().len());
                Err(plugin.failed((entry, &version), failure, messages))
            }
        }
    }
}

impl ExchangeHook for Exchange {
    fn bind(&self, id: u32, binding: &Arc<Binding>) {
        self.bindings.bind(id, binding);
    }

    fn unbind(&self, id: u32) {
        self.bindings.unbind(id);
    }

    fn needs(&self) -> Result<Arc<Needs>, HookError> {
        let plugin = self.of_type.plugin.load();
        let plugin = plugin.as_ref().ok_or_else(|| self.of_type.nobody())?;
        if let Some(rest) = plugin.health.quarantine(|| plugin.now_ns())
            && rest > Duration::ZERO
        {
            return Err(plugin.quarantined(rest));
        }
        let version = plugin.current.load();
        let version = version.as_ref().ok_or_else(|| plugin.not_loaded())?;
        Ok(Arc::clone(&version.needs))
    }

    fn batch_max(&self) -> usize {
        let plugin = self.of_type.plugin.load();
        let Some(plugin) = plugin.as_ref() else {
            return 1;
        };
        if plugin.health.quarantine(|| plugin.now_ns()).is_some() {
            return 1;
        }
        let pace = self.pace_ns.load(Ordering::Relaxed);
        let current = plugin.current.load();
        let Some(version) = current.as_ref().filter(|_| pace > 0) else {
            return BATCH_FIRST;
        };
        let quarter = u64::try_from(version.spec.deadline.as_nanos() / 4).unwrap_or(u64::MAX);
        usize::try_from(quarter / pace)
            .unwrap_or(BATCH_MAX)
            .clamp(1, BATCH_MAX)
    }

    fn route(&self, batch: &PackedBatch, answer: &mut Vec<u32>) -> Result<(), HookError> {
        let plugin = self.of_type.plugin.load();
        let plugin = plugin.as_ref().ok_or_else(|| self.of_type.nobody())?;
        self.call(plugin, batch, answer)
    }

    fn rehearse(&self, batch: &PackedBatch) -> Result<Rehearsed<Vec<u32>>, HookError> {
        rehearse::route(self, batch)
    }

    fn on_error(&self) -> OnError {
        let plugin = self.of_type.plugin.load();
        let version = plugin
            .as_ref()
            .and_then(|plugin| plugin.current.load_full());
        version.map_or(OnError::default(), |version| version.spec.on_error)
    }
}
