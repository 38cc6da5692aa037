//! The world around the plugins: this machine's clock and chance, the broker's store, and a task that publishes for them.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use amphora_core::definition::Family;
use amphora_core::store::Write;
use amphora_plugin_host::{Environment, KvEntry, Outgoing, Role};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::mpsc;

use super::expiry::Expiry;
use super::losses::Losses;
use super::stored::Stored;
use crate::runtime::batch::{Owned, target};
use crate::runtime::blocking::block;
use crate::runtime::broker::Broker;
use crate::runtime::committer::Committer;
use crate::runtime::ingress::{Ingress, Outcome};
use crate::runtime::peer::Touched;

/// The family of definitions that holds what plugins store. Key: the family, the plugin's name (length in one byte, text), the plugin's own key.
/// Value: milliseconds since 1970 when the entry goes (u64, big endian; 0 for never), the plugin's own value.
const KV_FAMILY: u8 = Family::OPAQUE_MIN + 1;

/// Calls whose messages wait to be published, and bytes of these messages. A plugin that publishes faster than the broker can loses what is
/// above that, and the log says how much.
const PUBLISHES_MAX: usize = 4096;
const PUBLISHED_BYTES_MAX: usize = 64 << 20;

/// What a plugin sent in one call.
#[derive(Debug)]
pub(in crate::runtime) struct Sent {
    plugin: String,
    messages: Vec<Outgoing>,
}

pub(in crate::runtime) struct Surroundings {
    begun: Instant,
    committer: Arc<Committer>,
    stored: Stored,
    expiry: Expiry,
    publisher: mpsc::Sender<Sent>,
    /// Bytes that wait to be published.
    waiting: AtomicUsize,
    /// Messages that went nowhere.
    lost: Losses,
    /// The broker, once there is one.
    broker: OnceLock<Weak<Broker>>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

impl Surroundings {
    /// The world, and what plugins publish: for [`run`].
    pub(in crate::runtime) fn new(committer: Arc<Committer>) -> (Arc<Self>, mpsc::Receiver<Sent>) {
        let (publisher, sent) = mpsc::channel(PUBLISHES_MAX);
        let surroundings = Self {
            begun: Instant::now(),
            committer,
            stored: Stored::default(),
            expiry: Expiry::default(),
            publisher,
            waiting: AtomicUsize::new(0),
            lost: Losses::new("messages of the plugin's own are lost"),
            broker: OnceLock::new(),
        };
        (Arc::new(surroundings), sent)
    }

    /// From now on, the broker hears of changes.
    pub(in crate::runtime) fn tell(&self, broker: &Arc<Broker>) {
        // There is one broker in a process's world, and it is told of once.
        let told = self.broker.set(Arc::downgrade(broker));
        debug_assert!(told.is_ok());
    }

    /// Stores what was held back on this thread: the messages that it belongs to are noted for the committer.
    pub(super) fn let_go(&self) {
        self.stored.let_go(&self.committer);
    }

    /// How many messages of the plugin's own went nowhere.
    pub(super) fn lost(&self, plugin: &str) -> u64 {
        self.lost.of(plugin)
    }

    pub(super) fn broker(&self) -> Option<Arc<Broker>> {
        self.broker.get().and_then(Weak::upgrade)
    }

    /// What was routed before may go elsewhere now. Before there is a broker, nobody has routed anything.
    pub(super) fn touch(&self) {
        if let Some(broker) = self.broker() {
            broker.vhosts().iter().for_each(|vhost| vhost.touch());
        }
    }

    /// Stores a definition. Returns the epoch that makes it durable.
    pub(super) fn define(&self, write: Write) -> u64 {
        self.committer.define(vec![write])
    }

    /// Whether the store refuses what it is given.
    pub(super) fn is_failing(&self) -> bool {
        self.committer.is_failing()
    }

    pub(super) async fn durable(&self, epoch: u64) {
        self.committer.durable(epoch).await;
    }
}

impl Environment for Surroundings {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn random(&self, out: &mut [u8]) {
        let mut filled = 0;
        while filled < out.len() {
            match getrandom(&mut out[filled..], GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("the kernel has no random numbers: {error}"),
            }
        }
    }

    fn kv_changed(&self, plugin: &str, key: &[u8], entry: Option<&KvEntry>) {
        let key = kv_key(plugin, key);
        let write = match entry {
            None => Write::DeleteDefinition { key: key.clone() },
            Some(entry) => Write::PutDefinition {
                key: key.clone(),
                value: kv_value(entry),
            },
        };
        self.stored.write(&self.committer, key, write);
    }

    fn kv_expires(&self, at_ms: u64) {
        self.expiry.note(at_ms);
    }

    fn plugin_changed(&self, _: &str) {
        self.touch();
    }

    fn dependants(&self, plugin: &str, role: Role<'_>) -> Option<String> {
        self.broker()?.plugins.dependants(plugin, role)
    }

    fn block(&self, call: &mut dyn FnMut()) {
        block(call);
    }

    fn publish(&self, plugin: &str, messages: Vec<Outgoing>) {
        let (count, bytes) = (messages.len(), size(&messages));
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let sent = Sent {
            plugin: plugin.to_owned(),
            messages,
        };
        // One call alone may have more than the limit.
        let is_full = waiting > 0 && waiting + bytes > PUBLISHED_BYTES_MAX;
        if is_full || self.publisher.try_send(sent).is_err() {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            self.lost.add(
                plugin,
                count as u64,
                "they come faster than the broker publishes them",
            );
        }
    }
}

/// Bytes of messages, with what they cost beside their bodies.
fn size(messages: &[Outgoing]) -> usize {
    let sizes = messages
        .iter()
        .map(|message| message.body.len() + message.properties.len() + 128);
    sizes.sum()
}

fn kv_key(plugin: &str, key: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(2 + plugin.len() + key.len());
    whole.put_u8(KV_FAMILY);
    // A plugin's name has at most 64 bytes.
    whole.put_u8(u8::try_from(plugin.len()).unwrap_or(u8::MAX));
    whole.put_slice(plugin.as_bytes());
    whole.put_slice(key);
    whole.freeze()
}

fn kv_value(entry: &KvEntry) -> Bytes {
    let mut value = BytesMut::with_capacity(8 + entry.value.len());
    value.put_u64(entry.expires_ms.unwrap_or(0));
    value.put_slice(&entry.value);
    value.freeze()
}

/// What a plugin stored, if this is a definition of that family: plugin, key, entry.
pub(in crate::runtime) fn kv_entry(key: &Bytes, value: &Bytes) -> Option<(String, Bytes, KvEntry)> {
    let (mut key, mut value) = (key.clone(), value.clone());
    if key.try_get_u8() != Ok(KV_FAMILY) {
        return None;
    }
    let length = usize::from(key.try_get_u8().ok()?);
    if key.len() < length {
        return None;
    }
    let plugin = String::from_utf8(key.split_to(length).into()).ok()?;
    let expires_ms = value.try_get_u64().ok()?;
    let entry = KvEntry {
        value,
        expires_ms: (expires_ms > 0).then_some(expires_ms),
    };
    Some((plugin, key, entry))
}

/// Does what plugins do not do themselves, as long as the broker runs.
pub(in crate::runtime) async fn run(broker: Arc<Broker>, sent: mpsc::Receiver<Sent>) {
    tokio::select! {
        () = publish(Arc::clone(&broker), sent) => {}
        () = expire(broker) => {}
    }
}

/// Publishes what plugins send. What becomes of a message is counted as for every other, and
/// one that goes nowhere is counted for the plugin, and told in the log now and then.
async fn publish(broker: Arc<Broker>, mut sent: mpsc::Receiver<Sent>) {
    while let Some(Sent { plugin, messages }) = sent.recv().await {
        let mut touched = Touched::default();
        let surroundings = &broker.plugins.surroundings;
        surroundings
            .waiting
            .fetch_sub(size(&messages), Ordering::Relaxed);
        for messages in messages.chunk_by(|one, next| one.vhost == next.vhost) {
            let Some(vhost) = messages.first().map(|first| &first.vhost) else {
                continue;
            };
            let Some(found) = broker.vhost(vhost) else {
                let why = format!("there is no vhost '{vhost}'");
                surroundings.lost.add(&plugin, messages.len() as u64, &why);
                continue;
            };
            let mut ingress = Ingress::new(found, plugin.as_str().into());
            ingress.for_each(messages, |ingress, message| {
                if let Err(why) = publish_one(ingress, message) {
                    let exchange = &message.exchange;
                    let why = format!("exchange '{exchange}' in vhost '{vhost}': {why}");
                    surroundings.lost.add(&plugin, 1, &why);
                }
            });
            ingress.flush(&[], &mut touched);
        }
        touched.finish(&broker.committer);
    }
}

/// Drops what has outlived its time in plugins' stores: plugins that nobody calls do not.
async fn expire(broker: Arc<Broker>) {
    let plugins = &broker.plugins;
    let surroundings = &plugins.surroundings;
    let look = || {
        let mut next = None;
        block(|| next = plugins.host.expire_kv());
        next
    };
    surroundings
        .expiry
        .watch(|| surroundings.now_ms(), look)
        .await;
}

/// Says why the message is lost, if it is.
fn publish_one(ingress: &mut Ingress, message: &Outgoing) -> Result<(), String> {
    let message = Owned {
        target: target(&message.exchange, &message.routing_key),
        properties: message.properties.clone(),
        body: message.body.clone(),
    };
    match ingress.publish_internal(message) {
        Ok(Outcome::Routed | Outcome::Waiting | Outcome::Later(_) | Outcome::Taken) => Ok(()),
        Ok(Outcome::Unroutable) => Err("no queue is bound for it".to_owned()),
        Ok(Outcome::Full) => Err("a queue is full".to_owned()),
        Ok(Outcome::Refused(error) | Outcome::Rejected(error)) => Err(error),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_stored_is_read_again() {
        for expires_ms in [None, Some(5)] {
            let entry = KvEntry {
                value: Bytes::from_static(b"value"),
                expires_ms,
            };
            let (key, value) = (kv_key("plugin", b"key"), kv_value(&entry));
            let read = kv_entry(&key, &value);
            let expected = ("plugin".to_owned(), Bytes::from_static(b"key"), entry);
            assert_eq!(read, Some(expected));
        }
    }

    #[test]
    fn other_families_are_passed_over() {
        assert_eq!(kv_entry(&Bytes::from_static(b"\x04x"), &Bytes::new()), None);
        assert_eq!(
            kv_entry(&Bytes::from_static(b"\x11\x05ab"), &Bytes::new()),
            None
        );
        assert_eq!(
            kv_entry(&Bytes::from_static(b"\x11\x01ab"), &Bytes::new()),
            None
        );
    }
}
