//! Random numbers: real ones for plugins that are granted them, otherwise the same ones in every instance.

use wasmtime::component::LinkerInstance;

use crate::fault::Denied;
use crate::spec::Grant;
use crate::state::State;

/// Bytes that one call may ask for.
const BYTES_MAX: u64 = 64 << 10;

/// Numbers that are spread well, and the same in every instance (`SplitMix64`).
#[derive(Debug, Default)]
pub(crate) struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }
}

pub(super) fn link(name: &str, linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<bool> {
    match name {
        "get-random-bytes" | "get-insecure-random-bytes" => {
            linker.func_wrap(name, |mut store, (count,): (u64,)| {
                Ok((bytes(store.data_mut(), count)?,))
            })?;
        }
        "get-random-u64" | "get-insecure-random-u64" => {
            linker.func_wrap(name, |mut store, (): ()| Ok((number(store.data_mut()),)))?;
        }
        "insecure-seed" => linker.func_wrap(name, |mut store, (): ()| {
            let state = store.data_mut();
            Ok(((number(state), number(state)),))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn number(state: &mut State) -> u64 {
    if state.grants.has(Grant::Random) {
        let mut bytes = [0; 8];
        state.grants.environment.random(&mut bytes);
        return u64::from_le_bytes(bytes);
    }
    state.wasi.numbers.next()
}

fn bytes(state: &mut State, count: u64) -> wasmtime::Result<Vec<u8>> {
    if count > BYTES_MAX {
        let text = format!("it asked for {count} random bytes, and {BYTES_MAX} are allowed");
        return Err(Denied(text).into());
    }
    let count = usize::try_from(count)?;
    if state.grants.has(Grant::Random) {
        let mut bytes = vec![0; count];
        state.grants.environment.random(&mut bytes);
        return Ok(bytes);
    }
    let numbers = std::iter::repeat_with(|| state.wasi.numbers.next());
    let bytes = numbers.flat_map(u64::to_le_bytes);
    Ok(bytes.take(count).collect())
}
