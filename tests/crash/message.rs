//! Messages that say themselves whether they are what was sent.

use anyhow::{Context, bail};

use super::random::Random;

/// Who sent it, and as which of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) sender: u16,
    pub(crate) number: u64,
}

/// Mostly small ones, some that are shared between queues, few that are stored by themselves.
pub(crate) fn body(id: Id, random: &mut Random) -> Vec<u8> {
    let size = match random.below(100) {
        0 => 70_000 + random.below(200_000),
        1..=10 => 4_000 + random.below(16_000),
        _ => random.below(200),
    };
    let mut body = Vec::new();
    body.extend_from_slice(&id.sender.to_be_bytes());
    body.extend_from_slice(&id.number.to_be_bytes());
    body.extend((0..size).map(|at| filler(id, at)));
    body
}

/// Whose body this is, if every byte of it is right.
pub(crate) fn identify(body: &[u8]) -> anyhow::Result<Id> {
    let short = || format!("a body of {} bytes", body.len());
    let (sender, rest) = body.split_first_chunk().with_context(short)?;
    let (number, rest) = rest.split_first_chunk().with_context(short)?;
    let id = Id {
        sender: u16::from_be_bytes(*sender),
        number: u64::from_be_bytes(*number),
    };
    let right = (0..).zip(rest).all(|(at, &byte)| byte == filler(id, at));
    if !right {
        bail!("{id:?} has a body that is not its own");
    }
    Ok(id)
}

fn filler(id: Id, at: u64) -> u8 {
    let [.., low] = id
        .number
        .wrapping_mul(31)
        .wrapping_add(at)
        .wrapping_add(u64::from(id.sender))
        .to_be_bytes();
    low
}
