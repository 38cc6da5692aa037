//! The management API and AMQP clients at the same broker: what one does, the other sees.

mod api;
mod clients;
mod commands;
mod messages;
mod queues;
