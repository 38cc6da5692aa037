//! What time it is. Grant: `clock`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::clock as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::clock as host;

/// Milliseconds since 1970-01-01T00:00Z.
pub fn now_ms() -> u64 {
    host::now()
}

/// Nanoseconds from an arbitrary moment on, never less than before.
pub fn monotonic_ns() -> u64 {
    host::monotonic()
}
