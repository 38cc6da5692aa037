//! See `amphora_protocol::fuzz::fuzz_methods`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amphora_protocol::fuzz::fuzz_methods(data));
