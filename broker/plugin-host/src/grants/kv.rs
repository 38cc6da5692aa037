//! A plugin's own store.
//!
//! It is in memory, and each write is told to the environment, which makes it durable. What has outlived its time is not there any more, and is
//! dropped by and by: some of it with each call, so that no call pays for all that a quiet time has left.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use parking_lot::Mutex;
use wasmtime::component::LinkerInstance;

use super::Grants;
use crate::environment::KvEntry;
use crate::state::State;

/// Bytes of a key, at most.
const KEY_MAX: usize = 1 << 10;

/// Bytes of a value, at most.
const VALUE_MAX: usize = 64 << 10;

/// Entries that are dropped at once because they have outlived their time, at most. More than a call can write, so that they do not pile up.
const EXPIRED_MAX: usize = 64;

/// What an entry costs beside key and value, and is counted for it.
const OVERHEAD: u64 = 64;

/// A plugin's store.
#[derive(Debug, Default)]
pub(crate) struct Kv(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: BTreeMap<Bytes, KvEntry>,
    /// When, and which.
    expiries: BTreeSet<(u64, Bytes)>,
    bytes: u64,
    /// Entries written or removed.
    written: u64,
}

impl Entries {
    fn insert(&mut self, key: Bytes, entry: KvEntry) {
        self.remove(&key);
        self.bytes += size(&key, &entry);
        if let Some(expires) = entry.expires_ms {
            self.expiries.insert((expires, key.clone()));
        }
        self.by_key.insert(key, entry);
    }

    /// Removes an entry that has outlived its time, if there is one. Returns its key.
    fn pop_expired(&mut self, now_ms: u64) -> Option<Bytes> {
        let (expires, _) = self.expiries.first()?;
        if *expires > now_ms {
            return None;
        }
        let (_, key) = self.expiries.pop_first()?;
        self.remove(&key);
        Some(key)
    }

    fn remove(&mut self, key: &[u8]) -> Option<KvEntry> {
        let (key, entry) = self.by_key.remove_entry(key)?;
        self.bytes -= size(&key, &entry);
        if let Some(expires) = entry.expires_ms {
            self.expiries.remove(&(expires, key));
        }
        Some(entry)
    }
}

fn is_over(entry: &KvEntry, now_ms: u64) -> bool {
    entry.expires_ms.is_some_and(|expires| expires <= now_ms)
}

fn size(key: &[u8], entry: &KvEntry) -> u64 {
    key.len() as u64 + entry.value.len() as u64 + OVERHEAD
}

impl Kv {
    /// What was stored before the broker started. Returns the keys of what has outlived its time, which is left out.
    pub(crate) fn restore(
        &self,
        entries: impl IntoIterator<Item = (Bytes, KvEntry)>,
        now_ms: u64,
    ) -> Vec<Bytes> {
        let mut kv = self.0.lock();
        let mut expired = Vec::new();
        for (key, entry) in entries {
            if is_over(&entry, now_ms) {
                expired.push(key);
            } else {
                kv.insert(key, entry);
            }
        }
        expired
    }

    /// Takes everything out. Returns the keys.
    pub(crate) fn clear(&self) -> Vec<Bytes> {
        let entries = std::mem::take(&mut *self.0.lock());
        entries.by_key.into_keys().collect()
    }

    /// Drops some of what has outlived its time, and tells each key while nobody can write it again. Returns whether there may be more.
    pub(crate) fn expire(&self, now_ms: u64, mut tell: impl FnMut(&[u8])) -> bool {
        let mut kv = self.0.lock();
        for _ in 0..EXPIRED_MAX {
            let Some(key) = kv.pop_expired(now_ms) else {
                return false;
            };
            tell(&key);
        }
        true
    }

    /// When the next entry goes, in milliseconds since 1970.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        let kv = self.0.lock();
        kv.expiries.first().map(|(expires, _)| *expires)
    }

    /// A store of its own with the same entries, which counts what is written.
    pub(crate) fn copy(&self) -> Self {
        let kv = self.0.lock();
        Self(Mutex::new(Entries {
            by_key: kv.by_key.clone(),
            expiries: kv.expiries.clone(),
            bytes: kv.bytes,
            written: 0,
        }))
    }

    /// How many entries were written or removed.
    pub(crate) fn written(&self) -> u64 {
        self.0.lock().written
    }

    /// How many entries there are, and how many bytes they count for.
    pub(crate) fn size(&self) -> (u64, u64) {
        let kv = self.0.lock();
        (kv.by_key.len() as u64, kv.bytes)
    }
}

/// One call's view of the store: locked, and without what has outlived its time.
struct Access<'a> {
    kv: parking_lot::MutexGuard<'a, Entries>,
    grants: &'a Grants,
    now_ms: u64,
}

impl<'a> Access<'a> {
    fn new(grants: &'a Grants) -> Self {
        let now_ms = grants.environment.now_ms();
        let mut access = Self {
            kv: grants.shared.kv.0.lock(),
            grants,
            now_ms,
        };
        access.expire();
        access
    }

    fn expire(&mut self) {
        for _ in 0..EXPIRED_MAX {
            let Some(key) = self.kv.pop_expired(self.now_ms) else {
                return;
            };
            self.tell(&key, None);
        }
    }

    fn tell(&mut self, key: &[u8], entry: Option<&KvEntry>) {
        self.kv.written += 1;
        if self.grants.is_rehearsal {
            return;
        }
        let environment = &self.grants.environment;
        environment.kv_changed(&self.grants.plugin, key, entry);
    }

    /// What is there, and has not outlived its time.
    fn entry(&self, key: &[u8]) -> Option<&KvEntry> {
        let entry = self.kv.by_key.get(key);
        entry.filter(|entry| !is_over(entry, self.now_ms))
    }

    fn value(&self, key: &[u8]) -> Option<Bytes> {
        self.entry(key).map(|entry| entry.value.clone())
    }

    fn set(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        expires_ms: Option<u64>,
    ) -> Result<Option<Bytes>, String> {
        if key.len() > KEY_MAX {
            let length = key.len();
            return Err(format!(
                "the key has {length} bytes, and {KEY_MAX} are allowed"
            ));
        }
        if value.len() > VALUE_MAX {
            let length = value.len();
            return Err(format!(
                "the value has {length} bytes, and {VALUE_MAX} are allowed"
            ));
        }
        let entry = KvEntry {
            value: value.into(),
            expires_ms,
        };
        let before = self.kv.by_key.get(key.as_slice());
        let freed = before.map_or(0, |before| size(&key, before));
        let bytes = self.kv.bytes - freed + size(&key, &entry);
        let allowed = self.grants.spec.kv_max;
        if bytes > allowed {
            return Err(format!(
                "the plugin's store would have {bytes} bytes, and {allowed} are granted"
            ));
        }
        let before = self.value(&key);
        let key = Bytes::from(key);
        let next = self.next_expiry();
        self.kv.insert(key.clone(), entry.clone());
        self.tell(&key, Some(&entry));
        if let Some(expires) = expires_ms
            && next.is_none_or(|next| expires < next)
            && !self.grants.is_rehearsal
        {
            self.grants.environment.kv_expires(expires);
        }
        Ok(before)
    }

    fn next_expiry(&self) -> Option<u64> {
        self.kv.expiries.first().map(|(expires, _)| *expires)
    }

    fn expiry(&self, ttl: Option<u64>) -> Option<u64> {
        ttl.map(|ttl| self.now_ms.saturating_add(ttl))
    }
}

fn get(grants: &Grants, key: &[u8]) -> Option<Vec<u8>> {
    Access::new(grants).value(key).map(Into::into)
}

fn set(
    grants: &Grants,
    key: Vec<u8>,
    value: Vec<u8>,
    ttl: Option<u64>,
) -> Result<Option<Vec<u8>>, String> {
    let mut access = Access::new(grants);
    let expires = access.expiry(ttl);
    let before = access.set(key, value, expires)?;
    Ok(before.map(Into::into))
}

fn insert(grants: &Grants, key: Vec<u8>, value: Vec<u8>, ttl: Option<u64>) -> Result<bool, String> {
    let mut access = Access::new(grants);
    if access.value(&key).is_some() {
        return Ok(false);
    }
    let expires = access.expiry(ttl);
    access.set(key, value, expires)?;
    Ok(true)
}

fn remove(grants: &Grants, key: &[u8]) -> Option<Vec<u8>> {
    let mut access = Access::new(grants);
    let value = access.value(key);
    if access.kv.remove(key).is_some() {
        access.tell(key, None);
    }
    value.map(Into::into)
}

fn add(grants: &Grants, key: Vec<u8>, by: i64) -> Result<i64, String> {
    let mut access = Access::new(grants);
    let entry = access.entry(&key);
    let (before, expires) = match entry {
        None => (0, None),
        Some(entry) => {
            let bytes = <[u8; 8]>::try_from(entry.value.as_ref());
            let bytes = bytes.map_err(|_| {
                format!("the value has {} bytes and is no number", entry.value.len())
            })?;
            (i64::from_le_bytes(bytes), entry.expires_ms)
        }
    };
    let sum = before
        .checked_add(by)
        .ok_or_else(|| format!("{before} and {by} are too much for 64 bits"))?;
    access.set(key, sum.to_le_bytes().to_vec(), expires)?;
    Ok(sum)
}

type Key = Vec<u8>;

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("get", |store, (key,): (Key,)| {
        Ok((get(&store.data().grants, &key),))
    })?;
    linker.func_wrap(
        "set",
        |store, (key, value, ttl): (Key, Vec<u8>, Option<u64>)| {
            Ok((set(&store.data().grants, key, value, ttl),))
        },
    )?;
    linker.func_wrap(
        "insert",
        |store, (key, value, ttl): (Key, Vec<u8>, Option<u64>)| {
            Ok((insert(&store.data().grants, key, value, ttl),))
        },
    )?;
    linker.func_wrap("remove", |store, (key,): (Key,)| {
        Ok((remove(&store.data().grants, &key),))
    })?;
    linker.func_wrap("add", |store, (key, by): (Key, i64)| {
        Ok((add(&store.data().grants, key, by),))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::environment::{Environment, Outgoing};
    use crate::grants::Shared;
    use crate::spec::PluginSpec;

    /// A clock that stands still, and everything that was told.
    #[derive(Debug, Default)]
    struct Told {
        now_ms: AtomicU64,
        changes: Mutex<Vec<(Vec<u8>, Option<KvEntry>)>>,
        expiries: Mutex<Vec<u64>>,
    }

    impl Environment for Told {
        fn now_ms(&self) -> u64 {
            self.now_ms.load(Ordering::Relaxed)
        }

        fn monotonic_ns(&self) -> u64 {
            0
        }

        fn random(&self, _: &mut [u8]) {}

        fn kv_changed(&self, _: &str, key: &[u8], entry: Option<&KvEntry>) {
            self.changes.lock().push((key.to_vec(), entry.cloned()));
        }

        fn kv_expires(&self, at_ms: u64) {
            self.expiries.lock().push(at_ms);
        }

        fn plugin_changed(&self, _: &str) {}

        fn publish(&self, _: &str, _: Vec<Outgoing>) {}
    }

    fn grants(kv_max: u64) -> (Grants, Arc<Told>) {
        let told = Arc::<Told>::default();
        let mut spec = PluginSpec::new("plugin");
        spec.kv_max = kv_max;
        let shared = Arc::<Shared>::default();
        let grants = Grants::new("plugin".into(), spec.into(), shared, Arc::clone(&told) as _);
        (grants, told)
    }

    fn key(text: &str) -> Vec<u8> {
        text.into()
    }

    #[test]
    fn each_operation_says_what_was_there() {
        let (grants, told) = grants(1 << 20);
        assert_eq!(get(&grants, b"a"), None);
        assert_eq!(set(&grants, key("a"), key("1"), None), Ok(None));
        assert_eq!(set(&grants, key("a"), key("2"), None), Ok(Some(key("1"))));
        assert_eq!(insert(&grants, key("a"), key("3"), None), Ok(false));
        assert_eq!(insert(&grants, key("b"), key("3"), None), Ok(true));
        assert_eq!(get(&grants, b"a"), Some(key("2")));
        assert_eq!(remove(&grants, b"a"), Some(key("2")));
        assert_eq!(remove(&grants, b"a"), None);
        assert_eq!(add(&grants, key("n"), 5), Ok(5));
        assert_eq!(add(&grants, key("n"), -7), Ok(-2));
        assert!(add(&grants, key("n"), i64::MIN).is_err());
        assert!(add(&grants, key("b"), 1).is_err());
        let keys: Vec<Vec<u8>> = told
            .changes
            .lock()
            .iter()
            .map(|(key, _)| key.clone())
            .collect();
        assert_eq!(keys, ["a", "a", "b", "a", "n", "n"].map(key));
    }

    #[test]
    fn entries_go_when_their_time_is_over_and_that_is_told() {
        let (grants, told) = grants(1 << 20);
        set(&grants, key("a"), key("1"), Some(100)).expect("room");
        set(&grants, key("b"), key("1"), Some(50)).expect("room");
        add(&grants, key("n"), 1).expect("room");
        // A new time to live takes the place of the old one.
        set(&grants, key("b"), key("2"), Some(200)).expect("room");
        told.changes.lock().clear();
        told.now_ms.store(99, Ordering::Relaxed);
        assert_eq!(get(&grants, b"a"), Some(key("1")));
        told.now_ms.store(100, Ordering::Relaxed);
        assert_eq!(insert(&grants, key("a"), key("3"), None), Ok(true));
        assert_eq!(told.changes.lock()[0], (key("a"), None));
        told.now_ms.store(1000, Ordering::Relaxed);
        assert_eq!(get(&grants, b"b"), None);
        assert_eq!(get(&grants, b"a"), Some(key("3")));
        let (entries, bytes) = grants.shared.kv.size();
        assert_eq!((entries, bytes), (2, 2 * OVERHEAD + 2 + 9));
    }

    #[test]
    fn only_what_goes_earlier_than_all_others_is_told() {
        let (grants, told) = grants(1 << 20);
        let told = || std::mem::take(&mut *told.expiries.lock());
        set(&grants, key("stays"), key("1"), None).expect("room");
        assert_eq!(told(), [0; 0]);
        set(&grants, key("a"), key("1"), Some(100)).expect("room");
        set(&grants, key("b"), key("1"), Some(100)).expect("room");
        set(&grants, key("c"), key("1"), Some(200)).expect("room");
        assert_eq!(told(), [100]);
        set(&grants, key("c"), key("1"), Some(50)).expect("room");
        assert_eq!(
            (told(), grants.shared.kv.next_expiry()),
            (vec![50], Some(50))
        );
        // A question of which nothing comes has a store of its own.
        let rehearsal = grants.clone().of_rehearsal();
        set(&rehearsal, key("d"), key("1"), Some(10)).expect("room");
        assert_eq!((told(), grants.shared.kv.next_expiry()), (vec![], Some(50)));
    }

    #[test]
    fn a_call_after_a_quiet_time_drops_some_and_sees_none_of_what_is_over() {
        let (grants, told) = grants(1 << 20);
        for number in 0_u32..1000 {
            set(&grants, number.to_le_bytes().into(), key("1"), Some(10)).expect("room");
        }
        told.changes.lock().clear();
        told.now_ms.store(10, Ordering::Relaxed);
        let last = 999_u32.to_le_bytes();
        assert_eq!(get(&grants, &last), None);
        assert_eq!(told.changes.lock().len(), EXPIRED_MAX);
        assert_eq!(remove(&grants, &last), None);
        assert_eq!(set(&grants, last.into(), key("2"), None), Ok(None));
        let before_last = 998_u32.to_le_bytes();
        assert_eq!(
            insert(&grants, before_last.into(), key("2"), None),
            Ok(true)
        );
        assert_eq!(add(&grants, 997_u32.to_le_bytes().into(), 1), Ok(1));
        for _ in 0..1000 / EXPIRED_MAX {
            get(&grants, b"");
        }
        assert_eq!(grants.shared.kv.size().0, 3);
    }

    #[test]
    fn what_is_over_goes_although_nobody_calls() {
        let (grants, _) = grants(1 << 20);
        for number in 0..=EXPIRED_MAX as u64 {
            set(&grants, number.to_le_bytes().into(), key("1"), Some(10)).expect("room");
        }
        set(&grants, key("stays"), key("1"), Some(11)).expect("room");
        let kv = &grants.shared.kv;
        let mut told = 0;
        assert!(!kv.expire(9, |_| told += 1));
        assert!(kv.expire(10, |_| told += 1), "there is one more");
        assert!(!kv.expire(10, |_| told += 1));
        assert_eq!((told, kv.size().0), (EXPIRED_MAX + 1, 1));
    }

    #[test]
    fn what_is_over_when_the_broker_starts_is_named() {
        let kv = Kv::default();
        let entry = |expires_ms| KvEntry {
            value: Bytes::new(),
            expires_ms,
        };
        let entries = [("a", None), ("b", Some(10)), ("c", Some(11))]
            .map(|(key, expires)| (Bytes::from(key), entry(expires)));
        assert_eq!(kv.restore(entries, 10), ["b"]);
        assert_eq!(kv.size().0, 2);
        assert_eq!(kv.clear(), ["a", "c"]);
        assert_eq!(kv.size(), (0, 0));
    }

    #[test]
    fn a_number_keeps_its_time_to_live() {
        let (grants, told) = grants(1 << 20);
        set(&grants, key("n"), 1_i64.to_le_bytes().into(), Some(100)).expect("room");
        assert_eq!(add(&grants, key("n"), 1), Ok(2));
        told.now_ms.store(100, Ordering::Relaxed);
        assert_eq!(add(&grants, key("n"), 1), Ok(1));
    }

    #[test]
    fn limits_are_named_and_nothing_is_written_beyond_them() {
        let (grants, told) = grants(1_000);
        let refused = |result: Result<Option<Vec<u8>>, String>| result.expect_err("too much");
        assert_eq!(
            refused(set(&grants, vec![0; 1025], key("1"), None)),
            "the key has 1025 bytes, and 1024 are allowed"
        );
        assert_eq!(
            refused(set(&grants, key("a"), vec![0; 65_537], None)),
            "the value has 65537 bytes, and 65536 are allowed"
        );
        set(&grants, key("a"), vec![0; 900], None).expect("it fits");
        assert_eq!(
            refused(set(&grants, key("b"), vec![0; 100], None)),
            "the plugin's store would have 1130 bytes, and 1000 are granted"
        );
        // What takes the place of something needs room for the difference only.
        set(&grants, key("a"), vec![0; 930], None).expect("it fits");
        assert_eq!(told.changes.lock().len(), 2);
        remove(&grants, b"a");
        set(&grants, key("b"), vec![0; 900], None).expect("there is room");
    }
}
