//! Numbers that cannot be guessed. Grant: `random`.

#[cfg(target_arch = "wasm32")]
use crate::bindings::grants::amphora::plugin::random as host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::grants::random as host;

/// Any number.
pub fn number() -> u64 {
    host::number()
}

/// A number below `end`. Numbers are equally likely but for one part in 2⁶⁴ ÷ `end`.
///
/// # Panics
/// If `end` is 0.
pub fn below(end: u64) -> u64 {
    assert!(end > 0, "there is no number below 0");
    let wide = u128::from(number()) * u128::from(end);
    // The upper half of a product of two 64-bit numbers, so it fits.
    u64::try_from(wide >> 64).unwrap_or_default()
}

/// So many bytes, at most 64 KiB.
pub fn bytes(count: u32) -> Vec<u8> {
    host::bytes(count)
}
