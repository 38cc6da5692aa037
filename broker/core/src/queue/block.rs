//! Messages in memory: one growing buffer, and an entry of 16 bytes for each.

use std::ops::Range;

use bytes::Bytes;

use crate::message::{Body, Message, SHARED_BODY_MIN};

use super::targets::{KnownTarget, Targets};

/// The publisher asked for persistence and the queue is durable.
pub(crate) const PERSISTENT: u16 = 1;
/// The body is in [`Block::shared`]; the buffer holds its index instead.
const SHARED: u16 = 2;
/// Done with; its bytes stay until the block goes.
pub(crate) const SETTLED: u16 = 4;
/// Was delivered once and came back.
pub(crate) const REDELIVERED: u16 = 8;
/// Is in a record that survives a restart, or in one of that kind that the committer has taken.
pub(crate) const STORED: u16 = 16;
/// Is in a record that only relieves memory, or in one of that kind that the committer has taken.
pub(crate) const SPILLED: u16 = 32;

/// The time at which it expires stands in front of its properties, in 8 bytes.
pub(crate) const EXPIRES: u16 = 64;

/// Not read back with the rest of the block: only in the store.
pub(crate) const AWAY: u16 = 128;

/// The message's level of priority: see [`super::levels`].
const LEVEL: u16 = 0xff00;

/// What of the flags outlives the block when it leaves memory.
pub(crate) const LASTING: u16 = SETTLED | REDELIVERED | STORED | SPILLED | LEVEL;

#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u32,
    properties: u32,
    body: u32,
    target: u16,
    flags: u16,
}

impl Entry {
    #[inline]
    fn message<'b>(
        &self,
        data: &'b [u8],
        shared: &'b [Bytes],
        targets: &'b Targets,
    ) -> Option<Message<'b>> {
        let before = if self.flags & EXPIRES == 0 {
            0
        } else {
            EXPIRES_BYTES
        };
        let rest = data.get(self.offset as usize + before..)?;
        let (properties, rest) = rest.split_at_checked(self.properties as usize)?;
        let body = if self.flags & SHARED != 0 {
            let number = u32::from_le_bytes(*rest.first_chunk()?);
            Body::Shared(shared.get(number as usize)?)
        } else {
            Body::Inline(rest.get(..self.body as usize)?)
        };
        Some(Message {
            target: targets.get(self.target)?,
            properties,
            body,
            persistent: self.flags & PERSISTENT != 0,
        })
    }

    /// When the message expires, if it does.
    #[inline]
    fn expires_at(&self, data: &[u8]) -> Option<u64> {
        if self.flags & EXPIRES == 0 {
            return None;
        }
        let at = data.get(self.offset as usize..)?.first_chunk()?;
        Some(u64::from_le_bytes(*at))
    }
}

/// Messages that are counted together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// How many are not settled, or were not before.
    pub(super) count: u32,
    /// Their bodies, in bytes.
    pub(super) bytes: u64,
    /// Those of them that survive a restart.
    pub(super) persistent: u32,
    /// Their bodies, in bytes.
    pub(super) persistent_bytes: u64,
    /// Those of them that came back.
    pub(super) redelivered: u32,
    /// Those of them that are in a record that survives a restart.
    pub(super) stored: u32,
}

impl Run {
    pub(super) fn add(&mut self, flags: u16, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
        if flags & (PERSISTENT | STORED) != 0 {
            self.persistent += 1;
            self.persistent_bytes += bytes;
        }
        self.redelivered += u32::from(flags & REDELIVERED != 0);
        self.stored += u32::from(flags & STORED != 0);
    }
}

/// What [`EXPIRES`] puts in front of the properties.
const EXPIRES_BYTES: usize = size_of::<u64>();

/// A run of messages, in the order of their positions.
#[derive(Debug, Default)]
pub(crate) struct Block {
    data: Vec<u8>,
    entries: Vec<Entry>,
    shared: Vec<Bytes>,
    shared_bytes: usize,
    targets: Targets,
}

impl Block {
    /// With room for so many places, and for messages that take so many bytes at most.
    pub(super) fn with_room_for(places: usize, bytes: usize) -> Self {
        Self {
            data: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(places),
            ..Self::default()
        }
    }

    /// Gives back the room that was not needed.
    pub(super) fn fit(&mut self) {
        self.data.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of memory held.
    pub(crate) fn memory(&self) -> usize {
        self.data.capacity() + self.entries.capacity() * size_of::<Entry>() + self.shared_bytes
    }

    /// Whether so much has gathered that a new block is due.
    pub(crate) fn is_full(&self, bytes_max: usize) -> bool {
        self.data.len() + self.entries.len() * size_of::<Entry>() + self.shared_bytes >= bytes_max
            || self.targets.is_full()
    }

    pub(crate) fn push(&mut self, message: &Message<'_>, flags: u16, expires_at: Option<u64>) {
        let entry = self.store(message, flags, expires_at);
        self.entries.push(entry);
    }

    /// As [`Block::push`], for one of several messages of which many have the same target.
    pub(super) fn push_next<'m>(
        &mut self,
        message: &Message<'m>,
        flags: u16,
        expires_at: Option<u64>,
        known: &mut KnownTarget<'m>,
    ) {
        let target = self.targets.number_of_next(message.target, known);
        let entry = self.store_for(target, message, flags, expires_at);
        self.entries.push(entry);
    }

    /// Takes messages that do not expire until there are no more, or so much has gathered that a new block is due.
    pub(super) fn push_all<'m>(
        &mut self,
        messages: &mut impl Iterator<Item = Message<'m>>,
        bytes_max: usize,
    ) -> Run {
        let mut run = Run::default();
        let mut known = KnownTarget::default();
        while !self.is_full(bytes_max)
            && let Some(message) = messages.next()
        {
            let flags = if message.persistent { PERSISTENT } else { 0 };
            let target = self.targets.number_of_next(message.target, &mut known);
            let entry = self.store_for(target, &message, flags, None);
            self.entries.push(entry);
            run.add(flags, entry.body.into());
        }
        run
    }

    /// Takes a message at the place that was kept for it.
    pub(crate) fn fill(
        &mut self,
        index: usize,
        message: &Message<'_>,
        flags: u16,
        expires_at: Option<u64>,
    ) {
        let entry = self.store(message, flags, expires_at);
        if let Some(place) = self.entries.get_mut(index) {
            *place = entry;
        }
    }

    /// Puts a message's bytes into the buffer.
    fn store(&mut self, message: &Message<'_>, flags: u16, expires_at: Option<u64>) -> Entry {
        let target = self.targets.number_of(message.target);
        self.store_for(target, message, flags, expires_at)
    }

    #[inline]
    fn store_for(
        &mut self,
        target: u16,
        message: &Message<'_>,
        flags: u16,
        expires_at: Option<u64>,
    ) -> Entry {
        let offset = length(self.data.len());
        let mut flags = flags;
        if let Some(at) = expires_at {
            self.data.extend_from_slice(&at.to_le_bytes());
            flags |= EXPIRES;
        }
        self.data.extend_from_slice(message.properties);
        match message.body {
            Body::Inline(body) if body.len() < SHARED_BODY_MIN => {
                self.data.extend_from_slice(body);
            }
            Body::Inline(body) => {
                self.share(Bytes::copy_from_slice(body));
                flags |= SHARED;
            }
            Body::Shared(body) => {
                self.share(body.clone());
                flags |= SHARED;
            }
        }
        Entry {
            offset,
            properties: length(message.properties.len()),
            body: length(message.body.len()),
            target,
            flags,
        }
    }

    /// Keeps the place of a message that is not there (any more).
    pub(crate) fn push_absent(&mut self) {
        self.push_place(SETTLED, 0);
    }

    /// Keeps the place of a message that is only in the store, with a body of so many bytes.
    pub(crate) fn push_away(&mut self, flags: u16, body: u32) {
        self.push_place(flags | AWAY, body);
    }

    fn push_place(&mut self, flags: u16, body: u32) {
        self.entries.push(Entry {
            offset: 0,
            properties: 0,
            body,
            target: 0,
            flags,
        });
    }

    #[inline]
    pub(crate) fn message(&self, index: usize) -> Option<Message<'_>> {
        let entry = self.entries.get(index)?;
        entry.message(&self.data, &self.shared, &self.targets)
    }

    /// Adds the flags `taken` to messages, from the one at `start` on, whose flags among `looked_at` are `wanted`. Each of them is handed out with when it
    /// expires.
    pub(super) fn take<'b>(
        &'b mut self,
        start: usize,
        (looked_at, wanted): (u16, u16),
        taken: u16,
        mut each: impl FnMut(usize, &Message<'b>, Option<u64>),
    ) {
        for (index, entry) in self.entries.iter_mut().enumerate().skip(start) {
            if entry.flags & looked_at != wanted {
                continue;
            }
            entry.flags |= taken;
            if let Some(message) = entry.message(&self.data, &self.shared, &self.targets) {
                each(index, &message, entry.expires_at(&self.data));
            }
        }
    }

    /// The message at `index` and its flags, if it is here and not settled.
    #[inline]
    pub(super) fn live(&self, index: usize) -> Option<(u16, Message<'_>)> {
        let flags = self.flags(index);
        let message = self.message(index)?;
        (flags & (SETTLED | AWAY) == 0).then_some((flags, message))
    }

    /// What each message from `first` on [costs](Message::cost), nothing for one that is settled, up to the first one that is away or expires.
    pub(super) fn costs_from(&self, first: usize) -> impl Iterator<Item = Option<usize>> {
        let entries = self.entries.get(first..).unwrap_or_default().iter();
        entries.map_while(|entry| match entry.flags & (SETTLED | AWAY | EXPIRES) {
            0 => {
                let target = self.targets.get(entry.target);
                let target = target.map_or(0, <[u8]>::len);
                Some(Some(
                    target + entry.properties as usize + entry.body as usize,
                ))
            }
            flags => (flags & SETTLED != 0).then_some(None),
        })
    }

    /// What is not settled of some messages.
    pub(super) fn run(&self, indexes: Range<usize>) -> Run {
        let mut run = Run::default();
        let entries = self.entries.get(indexes).unwrap_or_default();
        for entry in entries.iter().filter(|entry| entry.flags & SETTLED == 0) {
            run.add(entry.flags, entry.body.into());
        }
        run
    }

    /// Marks messages as settled. Returns what was not settled before.
    pub(super) fn settle_run(&mut self, indexes: Range<usize>) -> Run {
        let run = self.run(indexes.clone());
        for entry in self.entries.get_mut(indexes).unwrap_or_default() {
            entry.flags |= SETTLED;
        }
        run
    }

    /// When the message at `index` expires, if it does.
    pub(crate) fn expires_at(&self, index: usize) -> Option<u64> {
        self.entries.get(index)?.expires_at(&self.data)
    }

    /// Length of the body at `index`.
    pub(crate) fn body_len(&self, index: usize) -> usize {
        self.entries
            .get(index)
            .map_or(0, |entry| entry.body as usize)
    }

    pub(crate) fn flags(&self, index: usize) -> u16 {
        self.entries.get(index).map_or(SETTLED, |entry| entry.flags)
    }

    /// Gives each message that was read back the flags that outlive a block, and returns how many are not settled, and their bodies in bytes.
    pub(super) fn restore_flags(&mut self, flags: impl Iterator<Item = u16>) -> (u32, u64) {
        let (mut live, mut bytes) = (0, 0);
        for (entry, flags) in self.entries.iter_mut().zip(flags) {
            // What the store did not have must not count as stored: see `settlement`.
            let absent = entry.flags & (SETTLED | STORED | SPILLED) == SETTLED;
            entry.flags |= flags & if absent { !STORED } else { LASTING };
            if entry.flags & SETTLED == 0 {
                live += 1;
                bytes += u64::from(entry.body);
            }
        }
        (live, bytes)
    }

    pub(crate) fn add_flags(&mut self, index: usize, flags: u16) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.flags |= flags;
        }
    }

    /// Forgets all messages and keeps the memory for the next ones.
    pub(crate) fn clear(&mut self) {
        self.data.clear();
        self.entries.clear();
        self.shared.clear();
        self.shared_bytes = 0;
        self.targets.trim();
    }

    fn share(&mut self, body: Bytes) {
        self.data
            .extend_from_slice(&length(self.shared.len()).to_le_bytes());
        self.shared_bytes += body.len();
        self.shared.push(body);
    }
}

/// A length that a block can hold: messages are at most 512 MiB and a block is full long before 4 GiB.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(target: &'a [u8], body: &'a [u8]) -> Message<'a> {
        Message {
            target,
            properties: &[0, 0],
            body: Body::Inline(body),
            persistent: false,
        }
    }

    #[test]
    fn small_and_large_bodies_come_back() {
        let large = vec![9; SHARED_BODY_MIN];
        let mut block = Block::default();
        block.push(&message(b"\x00\x01q", b"small"), 0, Some(7));
        block.push(&message(b"\x00\x01q", &large), PERSISTENT, None);
        block.push_absent();
        assert_eq!(block.message(0).expect("there").body.bytes(), b"small");
        let second = block.message(1).expect("there");
        assert!(matches!(second.body, Body::Shared(_)));
        assert_eq!(second.body.bytes(), large);
        assert!(second.persistent);
        assert_eq!((block.expires_at(0), block.expires_at(1)), (Some(7), None));
        assert_eq!(block.flags(2), SETTLED);
        assert_eq!(block.body_len(1), SHARED_BODY_MIN);
    }
}
