//! The management API: RabbitMQ's paths and shapes, over HTTP.

pub mod backend;
pub mod snapshot;
