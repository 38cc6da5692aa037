//! Ids as the store keeps them: runs of those that were noted together, each a definition.
//!
//! Key: the family, u8 whose they are (0 an exchange's, 1 a queue's); for an exchange, its virtual host and its name, each with a byte for
//! its length; for a queue, its number (u32); then the run's number (u64). Value: u8 version = 1, and for each id 16 bytes and when it
//! came (u64 milliseconds since 1970). Numbers are big endian.

use std::collections::VecDeque;

use amphora_core::deduplication::IdHash;
use amphora_core::definition::Family;
use amphora_core::store::{QueueId, Write};
use amphora_protocol::wire::types::{ExchangeName, VhostName};
use bytes::{Buf, BufMut, Bytes, BytesMut};

const FAMILY: u8 = Family::OPAQUE_MIN + 16;
const VERSION: u8 = 1;
const ENTRY_BYTES: usize = 24;

/// Whose ids they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::runtime) enum Owner {
    Exchange(VhostName, ExchangeName),
    Queue(QueueId),
}

/// A run as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Stored {
    pub(super) number: u64,
    pub(super) entries: Vec<Entry>,
}

/// An id, and when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct Entry {
    pub(super) id: IdHash,
    /// Its number in the window; the store does not have it.
    pub(super) number: u64,
    pub(super) at: u64,
}

/// The runs of one owner that the store has.
#[derive(Debug)]
pub(super) struct Runs {
    owner: Owner,
    next: u64,
    /// Each run's number, and the number of its last id in the window.
    stored: VecDeque<(u64, u64)>,
}

impl Owner {
    fn key(&self, number: u64) -> Bytes {
        let mut key = BytesMut::new();
        key.put_u8(FAMILY);
        match self {
            Self::Exchange(vhost, exchange) => {
                key.put_u8(0);
                for name in [vhost.as_bytes(), exchange.as_bytes()] {
                    // A name is checked to be that short when it is made.
                    key.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
                    key.put_slice(name);
                }
            }
            Self::Queue(id) => {
                key.put_u8(1);
                key.put_u32(id.0);
            }
        }
        key.put_u64(number);
        key.freeze()
    }

    fn read(key: &[u8]) -> Option<(Self, u64)> {
        let mut rest = key.strip_prefix(&[FAMILY])?;
        let owner = match rest.try_get_u8().ok()? {
            0 => {
                let vhost = VhostName::new(name(&mut rest)?).ok()?;
                Self::Exchange(vhost, ExchangeName::new(name(&mut rest)?).ok()?)
            }
            1 => Self::Queue(QueueId(rest.try_get_u32().ok()?)),
            _ => return None,
        };
        Some((owner, rest.try_get_u64().ok()?))
    }
}

fn name<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::from(rest.try_get_u8().ok()?);
    let (name, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    std::str::from_utf8(name).ok()
}

impl Stored {
    /// What a definition holds, if it is of this family.
    ///
    /// # Errors
    /// It is damaged.
    pub(in crate::runtime) fn read(
        key: &[u8],
        value: &[u8],
    ) -> Option<Result<(Owner, Self), &'static str>> {
        if key.first() != Some(&FAMILY) {
            return None;
        }
        let read = || {
            let (owner, number) = Owner::read(key).ok_or("the key is damaged")?;
            let rest = value.strip_prefix(&[VERSION]).ok_or("unknown version")?;
            if !rest.len().is_multiple_of(ENTRY_BYTES) {
                return Err("the value is cut short");
            }
            let entries = rest.chunks_exact(ENTRY_BYTES).map(|mut entry| Entry {
                id: entry.get_u128(),
                number: 0,
                at: entry.get_u64(),
            });
            let entries = entries.collect();
            Ok((owner, Self { number, entries }))
        };
        Some(read())
    }
}

impl Runs {
    pub(super) fn new(owner: Owner) -> Self {
        Self {
            owner,
            next: 0,
            stored: VecDeque::new(),
        }
    }

    /// Adds a run, unless it is empty.
    pub(super) fn add(&mut self, entries: &[Entry]) -> Option<Write> {
        let last = entries.iter().map(|entry| entry.number).max()?;
        let mut value = BytesMut::with_capacity(1 + entries.len() * ENTRY_BYTES);
        value.put_u8(VERSION);
        for entry in entries {
            value.put_u128(entry.id);
            value.put_u64(entry.at);
        }
        let key = self.owner.key(self.next);
        self.stored.push_back((self.next, last));
        self.next += 1;
        Some(Write::PutDefinition {
            key,
            value: value.freeze(),
        })
    }

    /// Takes up a run that the store has; the next id in the window has this number.
    pub(super) fn restore(&mut self, run: &Stored, next: u64) {
        self.stored.push_back((run.number, next.saturating_sub(1)));
        self.next = self.next.max(run.number + 1);
    }

    /// Removes the runs whose ids all have lower numbers than `first`.
    pub(super) fn cut(&mut self, first: u64) -> impl Iterator<Item = Write> {
        let over = self.stored.iter().take_while(|(_, last)| *last < first);
        let over = over.count();
        let owner = self.owner.clone();
        self.stored.drain(..over).map(move |(number, _)| {
            let key = owner.key(number);
            Write::DeleteDefinition { key }
        })
    }

    /// What removes a run that nobody owns.
    pub(super) fn orphan(owner: &Owner, run: &Stored) -> Write {
        Write::DeleteDefinition {
            key: owner.key(run.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners() -> [Owner; 2] {
        let vhost = VhostName::new("/").expect("short");
        let exchange = ExchangeName::new("x").expect("short");
        [Owner::Exchange(vhost, exchange), Owner::Queue(QueueId(7))]
    }

    fn entry(id: IdHash, number: u64) -> Entry {
        Entry { id, number, at: 77 }
    }

    #[test]
    fn a_run_comes_back_as_it_was_and_never_in_part() {
        for owner in owners() {
            let mut runs = Runs::new(owner.clone());
            let entries = [entry(1 << 100, 0), entry(2, 1)];
            let write = runs.add(&entries).expect("not empty");
            let Write::PutDefinition { key, value } = write else {
                panic!("{write:?}");
            };
            let (found, run) = Stored::read(&key, &value)
                .expect("of the family")
                .expect("whole");
            assert_eq!((found, run.number), (owner, 0));
            let ids = run.entries.iter().map(|entry| (entry.id, entry.at));
            assert_eq!(ids.collect::<Vec<_>>(), [(1 << 100, 77), (2, 77)]);
            for cut in 1..key.len() {
                assert!(
                    Stored::read(&key[..cut], &value)
                        .expect("of the family")
                        .is_err()
                );
            }
            for cut in (0..value.len()).filter(|cut| cut % ENTRY_BYTES != 1) {
                assert!(
                    Stored::read(&key, &value[..cut])
                        .expect("of the family")
                        .is_err()
                );
            }
        }
        assert!(Stored::read(b"\x11other", b"").is_none());
    }

    #[test]
    fn runs_go_when_all_of_their_ids_have() {
        let [owner, _] = owners();
        let mut runs = Runs::new(owner);
        assert!(runs.add(&[]).is_none());
        runs.add(&[entry(1, 0), entry(2, 1)]).expect("not empty");
        runs.add(&[entry(3, 2)]).expect("not empty");
        assert_eq!(runs.cut(1).count(), 0);
        assert_eq!(runs.cut(2).count(), 1);
        assert_eq!(runs.cut(u64::MAX).count(), 1);
        assert_eq!(runs.cut(u64::MAX).count(), 0);
    }
}
