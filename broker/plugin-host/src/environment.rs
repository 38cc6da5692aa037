//! What a host needs from whoever runs it: time, chance, a store, and somebody who publishes.

use std::fmt;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use amphora_protocol::wire::types::RoutingKey;
use bytes::Bytes;
use parking_lot::Mutex;

/// The world around the plugins. All methods are called on the threads that call plugins, and must neither block nor call plugins, but for what
/// [`block`](Self::block) is given.
pub trait Environment: fmt::Debug + Send + Sync {
    /// Milliseconds since 1970-01-01T00:00Z.
    fn now_ms(&self) -> u64;

    /// Nanoseconds from an arbitrary moment on, never less than before.
    fn monotonic_ns(&self) -> u64;

    /// Fills the buffer with bytes that cannot be guessed.
    fn random(&self, out: &mut [u8]);

    /// A plugin wrote or removed an entry of its store, which is to be made durable. Called once for each write, in the order of
    /// writing, with the plugin's store locked.
    fn kv_changed(&self, plugin: &str, key: &[u8], entry: Option<&KvEntry>);

    /// An entry of a plugin's store goes at this time, in milliseconds since 1970, and none of the same store goes earlier: then, or some time later, is
    /// the time for [`expire_kv`](crate::Host::expire_kv). Called as [`kv_changed`](Self::kv_changed) is, and for what is restored.
    fn kv_expires(&self, _at_ms: u64) {}

    /// Another version of a plugin came into force, or none is in force any more: answers that were kept are void. Called on the thread
    /// that loads or unloads, which must not load or unload the same plugin from here.
    fn plugin_changed(&self, plugin: &str);

    /// What depends on a plugin in this role, in words; nothing if nobody does. Asked on the thread that loads, before a version comes into
    /// force that cannot play it any more.
    fn dependants(&self, _plugin: &str, _role: Role<'_>) -> Option<String> {
        None
    }

    /// Does what may take milliseconds or more, such as starting an instance, exactly once and on this thread. Whoever has other work for the
    /// thread gives it to another one meanwhile.
    fn block(&self, call: &mut dyn FnMut()) {
        call();
    }

    /// A plugin's call is over, and these are the messages that it sent meanwhile: at least one.
    fn publish(&self, plugin: &str, messages: Vec<Outgoing>);
}

/// What others may need a plugin for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// It is attached as a transform.
    Transform,
    /// There are exchanges of the type that it supplies.
    ExchangeType(&'a str),
}

/// A value in a plugin's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvEntry {
    /// The value.
    pub value: Bytes,
    /// When it goes, in milliseconds since 1970. None stays.
    pub expires_ms: Option<u64>,
}

/// A message of a plugin's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The virtual host to publish in.
    pub vhost: String,
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: RoutingKey,
    /// The content header: flags and list as on the wire.
    pub properties: Bytes,
    /// The body.
    pub body: Bytes,
}

/// A world without a broker: this machine's clock and chance, a store that lasts as long as the host, and messages that are kept
/// until somebody takes them.
#[derive(Debug)]
pub struct Standalone {
    begun: Instant,
    published: Mutex<Vec<Outgoing>>,
}

impl Default for Standalone {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            published: Mutex::default(),
        }
    }
}

impl Standalone {
    /// The messages that plugins have published since the last call.
    pub fn take_published(&self) -> Vec<Outgoing> {
        std::mem::take(&mut self.published.lock())
    }
}

impl Environment for Standalone {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn random(&self, out: &mut [u8]) {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..)
            && !rest.is_empty()
        {
            match rustix::rand::getrandom(&mut *rest, rustix::rand::GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("the kernel has no random numbers: {error}"),
            }
        }
    }

    fn kv_changed(&self, _: &str, _: &[u8], _: Option<&KvEntry>) {}

    fn plugin_changed(&self, _: &str) {}

    fn publish(&self, _: &str, messages: Vec<Outgoing>) {
        self.published.lock().extend(messages);
    }
}
