//! Figures in the broker's metrics, marked with the plugin's name. Grant: `metrics`. At most 100 names, of `[a-z0-9_]`, 64 bytes each;
//! others are counted and dropped.

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::metrics as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::metrics as host;

/// Adds to a counter.
pub fn add(counter: &str, by: u64) {
    host::add(counter, by);
}

/// Sets a gauge.
pub fn set(gauge: &str, value: f64) {
    host::set(gauge, value);
}
