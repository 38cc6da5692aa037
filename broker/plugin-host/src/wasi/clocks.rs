//! Clocks: real ones for plugins that are granted one, otherwise one that stands still.

use wasmtime::component::{ComponentType, Lift, LinkerInstance, Lower};

use super::streams::pollable;
use crate::spec::Grant;
use crate::state::State;

/// What passes with each look at a monotonic clock that is not granted: a guest that waits for it to move goes on.
const PRETENDED_STEP_NS: u64 = 1_000;

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

pub(super) fn link(
    interface: &str,
    name: &str,
    linker: &mut LinkerInstance<'_, State>,
) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("monotonic-clock", "now") => {
            linker.func_wrap(name, |mut store, (): ()| Ok((monotonic(store.data_mut()),)))?;
        }
        ("monotonic-clock", "resolution") => linker.func_wrap(name, |_, (): ()| Ok((1_u64,)))?,
        ("monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            linker.func_wrap(name, |_, (_,): (u64,)| Ok((pollable(),)))?;
        }
        ("wall-clock", "now") => {
            linker.func_wrap(name, |store, (): ()| Ok((wall(store.data()),)))?;
        }
        ("wall-clock", "resolution") => linker.func_wrap(name, |_, (): ()| {
            Ok((Datetime {
                seconds: 0,
                nanoseconds: 1_000_000,
            },))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn monotonic(state: &mut State) -> u64 {
    if state.grants.has(Grant::Clock) {
        return state.grants.environment.monotonic_ns();
    }
    state.wasi.pretended_ns += PRETENDED_STEP_NS;
    state.wasi.pretended_ns
}

fn wall(state: &State) -> Datetime {
    let now_ms = if state.grants.has(Grant::Clock) {
        state.grants.environment.now_ms()
    } else {
        0
    };
    Datetime {
        seconds: now_ms / 1_000,
        nanoseconds: u32::try_from(now_ms % 1_000).unwrap_or(0) * 1_000_000,
    }
}
