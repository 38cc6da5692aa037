//! What clients say and what they are answered, as scripts.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "`UPDATE_EXPECT` writes every script in the same way"
)]

mod script;

mod arguments;
mod at_least_once;
mod consume;
mod consumer_timeout;
mod dead_letter;
mod declare;
mod deduplication;
mod delayed;
mod delayed_retry;
mod delivery_limit;
mod exchange_types;
mod lifetimes;
mod limits;
mod misuse;
mod overflow;
mod policies;
mod prefetch;
mod priority;
mod publish;
mod recovery;
mod reply_to;
mod retry;
mod route;
mod single_active;
mod stream;
mod ttl;
