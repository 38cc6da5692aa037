//! The plugin's table of the configuration.

use wasmtime::component::LinkerInstance;

use crate::state::State;

pub(super) fn link(mut linker: LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    linker.func_wrap("get", |store, (key,): (String,)| {
        Ok((store.data().grants.spec.config.get(&key).cloned(),))
    })?;
    linker.func_wrap("all", |store, (): ()| {
        let config = &store.data().grants.spec.config;
        let all: Vec<(String, String)> = config
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Ok((all,))
    })
}
