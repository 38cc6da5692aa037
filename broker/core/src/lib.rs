//! The broker's model: exchanges, bindings, queues, acknowledgements. No I/O, no clock, no task.

pub mod binding;
pub mod channel;
pub mod codec;
pub mod deduplication;
pub mod definition;
pub mod exchange;
pub mod hook;
pub mod message;
pub mod policy;
pub mod queue;
pub mod queue_arguments;
pub mod route;
pub mod store;
pub mod stream;
pub mod topology;
