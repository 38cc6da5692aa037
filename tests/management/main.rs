//! The management API and AMQP clients at the same broker: what one does, the other sees.

mod announcements;
mod api;
mod clients;
mod commands;
mod delayed;
mod messages;
mod queues;
