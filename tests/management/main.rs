//! The management API and AMQP clients at the same broker: what one does, the other sees.

mod administration;
mod alarms;
mod announcements;
mod api;
mod audit;
mod browsing;
mod clients;
mod columns;
mod commands;
mod definitions;
mod delayed;
mod documented;
mod history;
mod limits_http;
mod messages;
mod permissions;
mod permissions_http;
mod progress;
mod queues;
mod route;
mod spans;
mod tags;
