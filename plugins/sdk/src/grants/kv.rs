//! A store of the plugin's own, shared by all its instances and versions, kept across restarts. Grant: `kv`.
//!
//! Each call is atomic. Keys have at most 1 KiB, values 64 KiB. Writes become durable with the broker's next commit.

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::kv as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::kv as host;

/// What is there.
pub fn get(key: &[u8]) -> Option<Vec<u8>> {
    host::get(key)
}

/// Writes, and returns what was there. With `ttl_ms`, the entry goes after so many milliseconds.
///
/// # Errors
/// The text says which limit is in the way.
pub fn set(key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<Option<Vec<u8>>, String> {
    host::set(key, value, ttl_ms)
}

/// Writes only if there is nothing, and says whether it did.
///
/// # Errors
/// The text says which limit is in the way.
pub fn insert(key: &[u8], value: &[u8], ttl_ms: Option<u64>) -> Result<bool, String> {
    host::insert(key, value, ttl_ms)
}

/// Removes, and returns what was there.
pub fn remove(key: &[u8]) -> Option<Vec<u8>> {
    host::remove(key)
}

/// Adds to a number (0 if there is none yet), and returns the sum. The entry's value is the number's 8 bytes, little-endian.
///
/// # Errors
/// The entry is no such number, or a limit is in the way.
pub fn add(key: &[u8], by: i64) -> Result<i64, String> {
    host::add(key, by)
}
