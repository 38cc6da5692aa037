//! See `amphora_protocol::fuzz::fuzz_connection`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amphora_protocol::fuzz::fuzz_connection(data));
