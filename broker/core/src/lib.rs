//! The broker's model: exchanges, bindings, queues, acknowledgements. No I/O, no clock, no task.

pub mod store;
