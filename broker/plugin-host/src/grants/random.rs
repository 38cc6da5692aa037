//! Numbers that cannot be guessed.

use wasmtime::component::LinkerInstance;

use crate::fault::Denied;
use crate::state::State;

/// Bytes that one call may ask for.
const BYTES_MAX: u32 = 64 << 10;

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("number", |store, (): ()| {
        let mut bytes = [0; 8];
        store.data().grants.environment.random(&mut bytes);
        Ok((u64::from_le_bytes(bytes),))
    })?;
    linker.func_wrap("bytes", |store, (count,): (u32,)| {
        if count > BYTES_MAX {
            return Err(Denied(format!(
                "random.bytes was asked for {count} bytes, and {BYTES_MAX} are allowed"
            ))
            .into());
        }
        let mut bytes = vec![0; count as usize];
        store.data().grants.environment.random(&mut bytes);
        Ok((bytes,))
    })
}
