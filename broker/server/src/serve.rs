//! The life of a broker: everything is put together here, runs, and is taken down.

use crate::config::Config;

/// Runs a broker until it is told to stop.
pub fn run(config: &Config) -> anyhow::Result<()> {
    tracing::info!(data_dir = %config.data_dir.display(), durability = %config.durability, "starting");
    Ok(())
}
