//! The load: what is declared, published and consumed, by which threads, and how it is counted.
//!
//! One thread per connection with blocking sockets: at the batch sizes of a load test a runtime would only add cost. Per
//! message a producer writes eight bytes into a prepared image ([`image`]), and a consumer compares a few words with the
//! layout that it expects ([`delivery`]).

pub(crate) mod connect;
pub(crate) mod consumer;
pub(crate) mod delivery;
pub(crate) mod engine;
pub(crate) mod gauge;
pub(crate) mod image;
pub(crate) mod length;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod pace;
pub(crate) mod plan;
pub(crate) mod producer;
pub(crate) mod threads;
pub(crate) mod topology;
pub(crate) mod watch;
pub(crate) mod window;
