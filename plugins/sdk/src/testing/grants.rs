//! What answers a plugin's grants in a test. Each thread, and so each test, has its own.

use std::cell::RefCell;
use std::collections::BTreeMap;

pub use crate::log::Level;
pub use crate::publish::Outgoing;

#[derive(Debug, Default)]
struct Grants {
    config: BTreeMap<String, String>,
    now_ms: u64,
    random: u64,
    kv: BTreeMap<Vec<u8>, Entry>,
    lines: Vec<(Level, String)>,
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
    sent: Vec<Outgoing>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    /// None for an entry that stays.
    until_ms: Option<u64>,
}

thread_local! {
    static GRANTS: RefCell<Grants> = RefCell::default();
}

fn with<R>(look: impl FnOnce(&mut Grants) -> R) -> R {
    GRANTS.with_borrow_mut(look)
}

/// Sets the configuration: keys, and values as [`config::get`](crate::config::get) has them.
pub fn configure<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let values = values.into_iter();
    let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
    with(|grants| grants.config = values.collect());
}

/// Sets the time: milliseconds since 1970. It stands still otherwise, at 0 from the beginning.
pub fn set_now_ms(now_ms: u64) {
    with(|grants| grants.now_ms = now_ms);
}

/// Sets what the following random numbers depend on.
pub fn seed(seed: u64) {
    with(|grants| grants.random = seed);
}

/// The lines that were logged so far.
pub fn lines() -> Vec<(Level, String)> {
    with(|grants| grants.lines.clone())
}

/// A counter.
pub fn counter(name: &str) -> u64 {
    with(|grants| grants.counters.get(name).copied().unwrap_or_default())
}

/// A gauge, if it was set.
pub fn gauge(name: &str) -> Option<f64> {
    with(|grants| grants.gauges.get(name).copied())
}

/// The messages that were sent so far.
pub fn sent() -> Vec<Outgoing> {
    with(|grants| grants.sent.clone())
}

/// How many entries the store has that have not expired.
pub fn kv_len() -> usize {
    with(|grants| {
        grants.expire();
        grants.kv.len()
    })
}

impl Grants {
    fn expire(&mut self) {
        let now_ms = self.now_ms;
        self.kv
            .retain(|_, entry| entry.until_ms.is_none_or(|until_ms| now_ms < until_ms));
    }

    fn put(
        &mut self,
        key: &[u8],
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> Result<Option<Vec<u8>>, String> {
        if key.len() > 1024 {
            return Err(format!(
                "the key has {} bytes, and 1024 are allowed",
                key.len()
            ));
        }
        if value.len() > 65_536 {
            return Err(format!(
                "the value has {} bytes, and 65536 are allowed",
                value.len()
            ));
        }
        let entry = Entry {
            value: value.to_owned(),
            until_ms: ttl_ms.map(|ttl_ms| self.now_ms.saturating_add(ttl_ms)),
        };
        let before = self.kv.insert(key.to_owned(), entry);
        Ok(before.map(|entry| entry.value))
    }
}

pub(crate) mod clock {
    use super::with;

    pub(crate) fn now() -> u64 {
        with(|grants| grants.now_ms)
    }

    pub(crate) fn monotonic() -> u64 {
        with(|grants| grants.now_ms.saturating_mul(1_000_000))
    }
}

pub(crate) mod config {
    use super::with;

    pub(crate) fn get(key: &str) -> Option<String> {
        with(|grants| grants.config.get(key).cloned())
    }

    pub(crate) fn all() -> Vec<(String, String)> {
        with(|grants| grants.config.clone().into_iter().collect())
    }
}

pub(crate) mod kv {
    use super::with;

    pub(crate) fn get(key: &[u8]) -> Option<Vec<u8>> {
        with(|grants| {
            grants.expire();
            grants.kv.get(key).map(|entry| entry.value.clone())
        })
    }

    pub(crate) fn set(
        key: &[u8],
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> Result<Option<Vec<u8>>, String> {
        with(|grants| {
            grants.expire();
            grants.put(key, value, ttl_ms)
        })
    }

    pub(crate) fn insert(key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<bool, String> {
        with(|grants| {
            grants.expire();
            if grants.kv.contains_key(key) {
                return Ok(false);
            }
            grants.put(key, value, ttl_ms).map(|_| true)
        })
    }

    pub(crate) fn remove(key: &[u8]) -> Option<Vec<u8>> {
        with(|grants| {
            grants.expire();
            grants.kv.remove(key).map(|entry| entry.value)
        })
    }

    pub(crate) fn add(key: &[u8], by: i64) -> Result<i64, String> {
        with(|grants| {
            grants.expire();
            let before = match grants.kv.get(key) {
                None => 0,
                Some(entry) => {
                    let bytes = entry.value.as_slice().try_into();
                    i64::from_le_bytes(bytes.map_err(|_| "the entry is no number".to_owned())?)
                }
            };
            let sum = before.checked_add(by).ok_or("the sum is too large")?;
            let until_ms = grants.kv.get(key).and_then(|entry| entry.until_ms);
            let ttl_ms = until_ms.map(|until_ms| until_ms - grants.now_ms);
            grants.put(key, &sum.to_le_bytes(), ttl_ms)?;
            Ok(sum)
        })
    }
}

pub(crate) mod log {
    use super::with;

    pub(crate) use crate::log::Level;

    pub(crate) fn write(level: Level, text: &str) {
        with(|grants| grants.lines.push((level, text.to_owned())));
    }
}

pub(crate) mod metrics {
    use super::with;

    pub(crate) fn add(counter: &str, by: u64) {
        with(|grants| *grants.counters.entry(counter.to_owned()).or_default() += by);
    }

    pub(crate) fn set(gauge: &str, value: f64) {
        with(|grants| grants.gauges.insert(gauge.to_owned(), value));
    }
}

pub(crate) mod publish {
    use super::with;

    pub(crate) fn send(message: super::Outgoing) -> Result<(), String> {
        with(|grants| {
            grants.sent.push(message);
            Ok(())
        })
    }
}

pub(crate) mod random {
    use super::with;

    /// The generator `SplitMix64`.
    pub(crate) fn number() -> u64 {
        with(|grants| {
            grants.random = grants.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (grants.random ^ (grants.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    pub(crate) fn bytes(count: u32) -> Vec<u8> {
        assert!(
            count <= 65_536,
            "{count} random bytes, and 65536 are allowed"
        );
        (0..count).map(|_| number().to_le_bytes()[0]).collect()
    }
}
