//! What is measured: time, latency distributions, losses and order, and the broker's CPU and memory.

pub(crate) mod clock;
pub(crate) mod histogram;
pub(crate) mod ledger;
pub(crate) mod usage;
