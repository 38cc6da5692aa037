//! What clients say and what they are answered, as scripts.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "`UPDATE_EXPECT` writes every script in the same way"
)]

mod script;

mod consume;
mod dead_letter;
mod declare;
mod deduplication;
mod delayed;
mod exchange_types;
mod lifetimes;
mod misuse;
mod overflow;
mod publish;
mod recovery;
mod reply_to;
mod retry;
mod route;
mod single_active;
mod stream;
