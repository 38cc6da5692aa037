//! A host, exchanges and messages for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use amphora_core::binding::{Binding, Destination};
use amphora_core::definition::ExchangeDefinition;
use amphora_core::exchange::ExchangeType;
use amphora_core::hook::{ExchangeHook, Fault, HookError, Hooks, Origin, PackedBatch};
use amphora_plugin_host::{Environment, Grant, Host, HostSettings, KvEntry, Outgoing, PluginSpec};
use amphora_protocol::wire::table::FieldTable;
use amphora_protocol::wire::types::{ExchangeName, QueueName, RoutingKey, VhostName};
use parking_lot::Mutex;

pub(crate) const TYPE: &str = "x-test";

/// What a plugin wrote or removed.
pub(crate) type KvChange = (Vec<u8>, Option<KvEntry>);

/// A world whose time stands still until it is told otherwise.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) milliseconds: AtomicU64,
    pub(crate) changes: Mutex<Vec<KvChange>>,
    pub(crate) published: Mutex<Vec<Outgoing>>,
    pub(crate) replaced: AtomicU64,
    /// How often something was to take long.
    pub(crate) blocked: AtomicU64,
}

impl Environment for Surroundings {
    fn now_ms(&self) -> u64 {
        self.milliseconds.load(Ordering::Relaxed)
    }

    fn monotonic_ns(&self) -> u64 {
        self.now_ms() * 1_000_000
    }

    fn random(&self, out: &mut [u8]) {
        out.fill(7);
    }

    fn kv_changed(&self, _: &str, key: &[u8], entry: Option<&KvEntry>) {
        self.changes.lock().push((key.to_vec(), entry.cloned()));
    }

    fn plugin_changed(&self, _: &str) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }

    fn block(&self, call: &mut dyn FnMut()) {
        self.blocked.fetch_add(1, Ordering::Relaxed);
        call();
    }

    fn publish(&self, _: &str, messages: Vec<Outgoing>) {
        self.published.lock().extend(messages);
    }
}

impl Surroundings {
    pub(crate) fn pass(&self, milliseconds: u64) {
        self.milliseconds.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) around: Arc<Surroundings>,
}

impl World {
    pub(crate) fn new() -> Self {
        let around = Arc::<Surroundings>::default();
        around.pass(1_000_000);
        let host = Host::new(HostSettings::default(), Arc::clone(&around) as _);
        Self {
            host: host.expect("an engine"),
            around,
        }
    }

    /// An exchange with a binding for each key, numbered from 1.
    pub(crate) fn bound(&self, name: &str, keys: &[&str]) -> Arc<dyn ExchangeHook> {
        self.bound_as(TYPE, name, keys)
    }

    /// As [`World::bound`], of another type.
    pub(crate) fn bound_as(
        &self,
        type_name: &str,
        name: &str,
        keys: &[&str],
    ) -> Arc<dyn ExchangeHook> {
        let definition = ExchangeDefinition {
            name: ExchangeName::new(name).expect("short"),
            exchange_type: ExchangeType::from_name(type_name).expect("a plugin's"),
            durable: false,
            auto_delete: false,
            internal: false,
            arguments: FieldTable::new(),
            declared_by: Box::default(),
        };
        let vhost = VhostName::new("/").expect("short");
        let exchange = self.host.exchange(type_name, &vhost, &definition);
        for (id, key) in (1..).zip(keys) {
            exchange.bind(id, &binding(key));
        }
        exchange
    }

    pub(crate) fn load_exchange(&self, component: &[u8]) {
        self.host.load(spec(), component).expect("a good component");
    }

    pub(crate) fn load_transform(&self, component: &[u8]) {
        let spec = PluginSpec::new("plugin");
        self.host.load(spec, component).expect("a good component");
    }

    pub(crate) fn last_error(&self) -> String {
        let snapshot = self.host.snapshot("plugin").expect("it was named");
        snapshot
            .last_error
            .map_or_else(String::new, |error| error.text)
    }
}

/// A plugin that supplies the test's type.
pub(crate) fn spec() -> PluginSpec {
    let mut spec = PluginSpec::new("plugin");
    spec.exchange_type = Some(TYPE.to_owned());
    spec
}

pub(crate) fn granted(mut spec: PluginSpec, grant: Grant) -> PluginSpec {
    spec.grants.insert(grant);
    spec
}

pub(crate) fn binding(key: &str) -> Arc<Binding> {
    Arc::new(Binding {
        source: ExchangeName::new("source").expect("short"),
        destination: Destination::Queue(QueueName::new(key).expect("short")),
        routing_key: RoutingKey::new(key).expect("short"),
        arguments: FieldTable::new().into(),
    })
}

/// Routes messages with these keys in one batch, packed as the plugin in force wants them.
pub(crate) fn route(
    exchange: &dyn ExchangeHook,
    keys: &[&str],
) -> Result<Vec<Vec<u32>>, HookError> {
    let needs = exchange.needs()?;
    let mut batch = PackedBatch::default();
    for routing_key in keys {
        let message = Origin {
            vhost: "/",
            exchange: "source",
            routing_key,
            properties: &[0, 0],
            body: b"body",
            ..Origin::default()
        };
        batch.push(&needs, &message).expect("a sound header");
    }
    route_batch(exchange, &batch)
}

pub(crate) fn route_batch(
    exchange: &dyn ExchangeHook,
    batch: &PackedBatch,
) -> Result<Vec<Vec<u32>>, HookError> {
    let mut answer = Vec::new();
    exchange.route(batch, &mut answer).inspect_err(|_| {
        assert!(answer.is_empty(), "nothing is appended by an error");
    })?;
    let mut rest = answer.as_slice();
    let mut lists = Vec::new();
    while let Some((count, others)) = rest.split_first() {
        let (ids, others) = others.split_at(*count as usize);
        lists.push(ids.to_vec());
        rest = others;
    }
    assert_eq!(lists.len(), batch.len());
    Ok(lists)
}

/// The fault and text of a failure.
pub(crate) fn fault<T: std::fmt::Debug>(result: Result<T, HookError>) -> (Fault, String) {
    let error = result.expect_err("it fails");
    assert_eq!(&*error.plugin, "plugin");
    (error.fault, error.text)
}
