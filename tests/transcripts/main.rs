//! What clients say and what they are answered, as scripts.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "`UPDATE_EXPECT` writes every script in the same way"
)]

mod script;

mod consume;
mod declare;
mod lifetimes;
mod misuse;
mod publish;
mod recovery;
mod reply_to;
mod route;
