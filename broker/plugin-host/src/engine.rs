//! The engine, and how it is set up.

use wasmtime::{
    Config, Enabled, Engine, Inlining, InstanceAllocationStrategy, OptLevel,
    PoolingAllocationConfig,
};

use crate::error::HostError;
use crate::spec::MEMORY_MAX;

/// Instances of all plugins on all threads, at most. They cost address space, not memory.
const INSTANCES_MAX: u32 = 2_000;

/// Bytes of the stack that one call may use. A worker's own stack has 2 MiB.
const STACK_MAX: usize = 512 << 10;

/// Bytes of an instance's memory that stay with its place for the next one.
const KEPT_RESIDENT: usize = 1 << 20;

/// Makes the engine: with places for instances reserved, or without if the machine refuses that much address space.
pub(crate) fn engine() -> Result<Engine, HostError> {
    let pooled = Engine::new(config().allocation_strategy(pool()));
    pooled
        .or_else(|error| {
            tracing::warn!(
                "no address space for a pool of plugin instances, so making one takes longer: {error:#}"
            );
            Engine::new(&config())
        })
        .map_err(HostError::Engine)
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // On by default, it makes every call three times as expensive, and no plugin is asynchronous.
        .concurrency_support(false)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        // Guests come optimised. With it, a component of 18 MB took 8 GB and five times as long to compile, and no call was faster.
        .compiler_inlining(Inlining::No)
        .max_wasm_stack(STACK_MAX)
        .memory_init_cow(true);
    config
}

fn pool() -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        // Language runtimes are made of several core instances.
        .total_core_instances(4 * INSTANCES_MAX)
        .total_memories(INSTANCES_MAX)
        .total_tables(2 * INSTANCES_MAX)
        .max_memory_size(usize::try_from(MEMORY_MAX).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEPT_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}
