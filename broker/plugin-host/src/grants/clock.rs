//! What time it is.

use wasmtime::component::LinkerInstance;

use crate::state::State;

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("now", |store, (): ()| {
        Ok((store.data().grants.environment.now_ms(),))
    })?;
    linker.func_wrap("monotonic", |store, (): ()| {
        Ok((store.data().grants.environment.monotonic_ns(),))
    })
}
