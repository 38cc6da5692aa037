//! The run of messages that a queue keeps in the store under one key.
//!
//! Layout, version 2, numbers of variable length unless said otherwise:
//! ```text
//! u8 version = 2
//! first position
//! count of messages
//! per message:
//!   distance of its position from the one before (from `first` for the first)
//!   u8 flags: 1 persistent, 2 a new target follows, 4 expires, 8 the body is elsewhere
//!   if flag 4, when it expires: milliseconds since the Unix epoch
//!   target: if flag 2, length and bytes (it gets the next number); else the number of a target that was given before
//!   length of properties, length of body
//!   properties
//!   the body or, if flag 8, where it begins in the record of shared bodies that the index names for this record
//! ```
//! Version 1 is the same without flag 8.

use std::ops::Range;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::codec::{Malformed, Reader, put_slice, put_varint};
use crate::message::{Body, Message};
use crate::store::{BodiesRef, Position, RecordId, SHARED_MEMORY_BYTES_MAX};

use super::bodies::Place;

const VERSION: u8 = 2;
/// The oldest version that is still read.
const VERSION_MIN: u8 = 1;
const PERSISTENT: u8 = 1;
const NEW_TARGET: u8 = 2;
const EXPIRES: u8 = 4;
const ELSEWHERE: u8 = 8;

/// The most that stands before the first message: the version and two numbers.
const HEADER_BYTES: usize = 1 + 10 + 5;

/// Targets of a record that get numbers, each of one byte.
const TARGETS_MAX: u8 = 64;

/// What stands for a target of a record that was spelled out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetNumber(u8);

/// The most that stands before a message's properties, but for a target that is spelled out: its flags, distance, expiry, the number of the target, and two
/// lengths of 32 bits.
const HEAD_BYTES: usize = 1 + 10 + 10 + 1 + 5 + 5;

/// The most that a message has beside target, properties and body: its flags and six numbers.
const MESSAGE_BYTES: usize = 1 + 6 * 10;

/// The memory that small records have together. It is used again when all of them are dropped; one that stays keeps all of it, which only those do that
/// wait for a store that refuses them.
const MEMORY_BYTES: usize = 512 << 10;
/// With less left of it than this, other memory is taken: few records outgrow what is left then, and little is lost.
const MEMORY_BYTES_MIN: usize = MEMORY_BYTES / 4;

/// Builds the data of records, one after the other.
#[derive(Debug, Default)]
pub(crate) struct RecordWriter {
    /// The record that is being built, behind room for its header. Small ones before it are parts of the same memory.
    data: BytesMut,
    /// Where in `data` the numbered targets are spelled out.
    targets: Vec<Range<usize>>,
    first: Position,
    last: Position,
    count: u32,
    bodies: Option<BodiesRef>,
}

/// A record that is ready to be stored.
pub(crate) struct Finished {
    pub(crate) first: Position,
    pub(crate) last: Position,
    pub(crate) count: u32,
    pub(crate) bodies: Option<BodiesRef>,
    pub(crate) data: Bytes,
}

impl RecordWriter {
    /// Whether a message with its body in that record can be added: all bodies that are elsewhere are in one record.
    pub(crate) fn may_refer_to(&self, record: RecordId) -> bool {
        self.bodies.is_none_or(|bodies| bodies.record == record)
    }

    /// Adds a message; `place` is where its body is, if that is elsewhere, `known` the number of its target, if it is known to be in this record. Returns
    /// that number, if the target has one.
    #[inline]
    pub(crate) fn push(
        &mut self,
        position: Position,
        message: &Message<'_>,
        expires_at: Option<u64>,
        place: Option<Place>,
        known: Option<TargetNumber>,
    ) -> Option<TargetNumber> {
        if self.count == 0 {
            let body = place.map_or(message.body.len(), |_| 0);
            let bytes = message.target.len() + message.properties.len() + body;
            self.begin(position, HEADER_BYTES + MESSAGE_BYTES + bytes);
        }
        let mut flags = if message.persistent { PERSISTENT } else { 0 };
        if expires_at.is_some() {
            flags |= EXPIRES;
        }
        if place.is_some() {
            flags |= ELSEWHERE;
        }
        let mut known = known.or_else(|| self.number_of(message.target));
        if known.is_none() {
            flags |= NEW_TARGET;
        }
        // Put together aside, and appended at once.
        let mut head = [0; HEAD_BYTES];
        let mut rest = &mut head[..];
        put_varint(&mut rest, position - self.last);
        rest.put_u8(flags);
        if let Some(at) = expires_at {
            put_varint(&mut rest, at);
        }
        if let Some(TargetNumber(number)) = known {
            rest.put_u8(number);
        } else {
            let unused = rest.len();
            self.data.extend_from_slice(&head[..HEAD_BYTES - unused]);
            put_slice(&mut self.data, message.target);
            known = self.number_target(message.target.len());
            rest = &mut head[..];
        }
        put_varint(&mut rest, message.properties.len() as u64);
        put_varint(&mut rest, message.body.len() as u64);
        let unused = rest.len();
        // All of it takes one instruction or two, which a part does not.
        self.data.extend_from_slice(&head);
        self.data.truncate(self.data.len() - unused);
        self.last = position;
        self.count += 1;
        self.data.extend_from_slice(message.properties);
        if let Some(Place { record, offset }) = place {
            put_varint(&mut self.data, u64::from(offset));
            let bodies = self.bodies.get_or_insert(BodiesRef { record, bytes: 0 });
            let bytes = u32::try_from(message.body.len()).unwrap_or(u32::MAX);
            bodies.bytes = bodies.bytes.saturating_add(bytes);
        } else {
            self.data.extend_from_slice(message.body.bytes());
        }
        known
    }

    fn number_of(&self, target: &[u8]) -> Option<TargetNumber> {
        let is_it = |range: &Range<usize>| self.data.get(range.clone()) == Some(target);
        let number = self.targets.iter().rposition(is_it)?;
        u8::try_from(number).ok().map(TargetNumber)
    }

    /// Gives a number to the target that was just spelled out, with so many bytes. A long table would make the search in it slow: targets beyond it have
    /// none, and are simply spelled out each time.
    fn number_target(&mut self, bytes: usize) -> Option<TargetNumber> {
        let number = u8::try_from(self.targets.len()).ok();
        let number = number.filter(|&number| number < TARGETS_MAX)?;
        let end = self.data.len();
        self.targets.push(end - bytes..end);
        Some(TargetNumber(number))
    }

    /// Begins a record whose first message needs so many bytes at most. One that is larger than the memory is alone in its record, which is built where it
    /// stays then.
    fn begin(&mut self, first: Position, bytes: usize) {
        self.first = first;
        self.last = first;
        if bytes > MEMORY_BYTES {
            self.data = BytesMut::with_capacity(bytes);
        } else if !self.data.try_reclaim(MEMORY_BYTES) && self.data.capacity() < MEMORY_BYTES_MIN {
            self.data = BytesMut::with_capacity(MEMORY_BYTES);
        }
        self.data.put_bytes(0, HEADER_BYTES);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many bytes will be read when the record is, at most, with the bodies that are elsewhere.
    pub(crate) fn len(&self) -> usize {
        self.data.len() + self.bodies.map_or(0, |bodies| bodies.bytes as usize)
    }

    /// The finished record, of one message at least; the writer is empty again.
    pub(crate) fn finish(&mut self) -> Finished {
        debug_assert!(!self.is_empty(), "a record has messages");
        let finished = Finished {
            first: self.first,
            last: self.last,
            count: self.count,
            bodies: self.bodies.take(),
            data: self.take_data(),
        };
        self.targets.clear();
        self.count = 0;
        finished
    }

    /// What was built, behind its header, which is known only now.
    fn take_data(&mut self) -> Bytes {
        let mut header = [0; HEADER_BYTES];
        let mut left = &mut header[..];
        left.put_u8(VERSION);
        put_varint(&mut left, self.first);
        put_varint(&mut left, self.count.into());
        let unused = left.len();
        let header = &header[..HEADER_BYTES - unused];
        self.data[unused..HEADER_BYTES].copy_from_slice(header);
        let spare = self.data.capacity() - self.data.len();
        let mut data = if self.data.len() <= SHARED_MEMORY_BYTES_MAX {
            self.data.split()
        } else if self.data.len() > MEMORY_BYTES && spare <= HEADER_BYTES + MESSAGE_BYTES {
            std::mem::take(&mut self.data)
        } else {
            let data = BytesMut::from(&*self.data);
            self.data.clear();
            if self.data.capacity() > MEMORY_BYTES {
                self.data = BytesMut::new();
            }
            data
        };
        data.advance(unused);
        data.freeze()
    }
}

/// Walks the messages of a record, as [`Store::read`](crate::store::Store::read) has its data: each with its position and when it expires,
/// in milliseconds since the Unix epoch. `bodies` is the data of the record that has the bodies which are elsewhere.
///
/// # Errors
/// The data is not what was written.
pub fn read_record<'a>(
    data: &'a [u8],
    bodies: &'a [u8],
    mut each: impl FnMut(Position, Message<'a>, Option<u64>),
) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    if !(VERSION_MIN..=VERSION).contains(&reader.byte()?) {
        return Err(Malformed("unknown version of a record"));
    }
    let mut position = reader.varint()?;
    let count = reader.varint()?;
    let mut targets: Vec<&[u8]> = Vec::new();
    for _ in 0..count {
        let distance = reader.varint()?;
        position = position
            .checked_add(distance)
            .ok_or(Malformed("a position is too large"))?;
        let flags = reader.byte()?;
        let expires_at = if flags & EXPIRES == 0 {
            None
        } else {
            Some(reader.varint()?)
        };
        let target = if flags & NEW_TARGET != 0 {
            let target = reader.slice()?;
            if targets.len() < usize::from(TARGETS_MAX) {
                targets.push(target);
            }
            target
        } else {
            let number = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
            targets
                .get(number)
                .copied()
                .ok_or(Malformed("a target was never given"))?
        };
        let properties = reader.varint32()? as usize;
        let length = reader.varint32()? as usize;
        let properties = reader.bytes(properties)?;
        let body = if flags & ELSEWHERE == 0 {
            reader.bytes(length)?
        } else {
            let offset = reader.varint32()? as usize;
            bodies
                .get(offset..)
                .and_then(|rest| rest.get(..length))
                .ok_or(Malformed("a body is not where it should be"))?
        };
        let message = Message {
            target,
            properties,
            body: Body::Inline(body),
            persistent: flags & PERSISTENT != 0,
        };
        each(position, message, expires_at);
    }
    if reader.rest().is_empty() {
        Ok(())
    } else {
        Err(Malformed("bytes are left over"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Plain {
        position: Position,
        target: Vec<u8>,
        properties: Vec<u8>,
        body: Vec<u8>,
        persistent: bool,
        expires_at: Option<u64>,
    }

    /// The messages' record and that of their bodies; those that are longer than `inline_max` are in the latter.
    fn write(messages: &[Plain], inline_max: usize) -> (Bytes, Vec<u8>) {
        let mut writer = RecordWriter::default();
        let first = write_with(&mut writer, messages, inline_max);
        assert!(writer.is_empty());
        let second = write_with(&mut writer, messages, inline_max);
        assert_eq!(first, second, "nothing stays of the record before");
        second
    }

    fn write_with(
        writer: &mut RecordWriter,
        messages: &[Plain],
        inline_max: usize,
    ) -> (Bytes, Vec<u8>) {
        let mut bodies = Vec::new();
        for plain in messages {
            let place = (plain.body.len() > inline_max).then(|| Place {
                record: RecordId(5),
                offset: u32::try_from(bodies.len()).expect("small"),
            });
            if place.is_some() {
                bodies.extend_from_slice(&plain.body);
            }
            let message = Message {
                target: &plain.target,
                properties: &plain.properties,
                body: Body::Inline(&plain.body),
                persistent: plain.persistent,
            };
            writer.push(plain.position, &message, plain.expires_at, place, None);
        }
        let finished = writer.finish();
        let referred = finished.bodies.map_or(0, |bodies| bodies.bytes as usize);
        assert_eq!(referred, bodies.len());
        (finished.data, bodies)
    }

    fn read(data: &[u8], bodies: &[u8]) -> Result<Vec<Plain>, Malformed> {
        let mut messages = Vec::new();
        read_record(data, bodies, |position, message, expires_at| {
            messages.push(Plain {
                position,
                target: message.target.to_vec(),
                properties: message.properties.to_vec(),
                body: message.body.bytes().to_vec(),
                persistent: message.persistent,
                expires_at,
            });
        })?;
        Ok(messages)
    }

    #[test]
    fn any_messages_come_back_and_no_cut_is_taken_for_a_record() {
        arbtest::arbtest(|u| {
            let mut position: Position = u.int_in_range(0..=Position::MAX - 100 * 300)?;
            let mut messages = Vec::new();
            for number in 0..u.int_in_range(1..=100)? {
                position += u.int_in_range(1..=300)?;
                messages.push(Plain {
                    position,
                    target: vec![u.int_in_range(0..=80)?; u.int_in_range(0..=3)?],
                    properties: vec![0; u.int_in_range(0..=5)?],
                    body: vec![number; u.int_in_range(0..=200)?],
                    persistent: u.arbitrary()?,
                    expires_at: u.arbitrary()?,
                });
            }
            let (data, bodies) = write(&messages, u.int_in_range(0..=300)?);
            assert_eq!(read(&data, &bodies).as_ref(), Ok(&messages));
            let cut = u.int_in_range(0..=data.len().saturating_sub(1))?;
            assert!(read(&data[..cut], &bodies).is_err());
            if let Some(short) = bodies.len().checked_sub(1) {
                assert!(read(&data, &bodies[..short]).is_err());
            }
            Ok(())
        });
    }

    /// A record with one message, whose body is `bytes` times the last byte of its position.
    fn lone(writer: &mut RecordWriter, position: Position, bytes: usize) -> (Plain, Bytes) {
        let message = Plain {
            position,
            target: b"target".to_vec(),
            properties: Vec::new(),
            body: vec![position.to_le_bytes()[0]; bytes],
            persistent: true,
            expires_at: None,
        };
        let (data, _) = write_with(writer, std::slice::from_ref(&message), usize::MAX);
        (message, data)
    }

    #[test]
    fn small_records_share_memory_that_is_used_again_when_they_are_gone() {
        let mut writer = RecordWriter::default();
        let (_, first) = lone(&mut writer, 1, 10);
        let memory = first.as_ptr();
        // More than fits, so that the writer has to take other memory while all of them are there.
        let rest = 4 * MEMORY_BYTES / 1000;
        let records: Vec<_> = (2..rest as Position)
            .map(|position| lone(&mut writer, position, 1000))
            .collect();
        assert_eq!(
            records[0].1.as_ptr() as usize,
            memory as usize + first.len() + HEADER_BYTES - 3
        );
        for (message, data) in records {
            assert_eq!(read(&data, &[]), Ok(vec![message]));
        }
        drop(first);

        let (_, one) = lone(&mut writer, 3, SHARED_MEMORY_BYTES_MAX - 100);
        let memory = one.as_ptr();
        assert!(
            one.try_into_mut().is_err(),
            "the writer may go on behind it"
        );
        let (_, other) = lone(&mut writer, 4, 10);
        assert_eq!(other.as_ptr(), memory);
    }

    #[test]
    fn a_large_record_has_memory_of_its_own() {
        let mut writer = RecordWriter::default();
        for bytes in [SHARED_MEMORY_BYTES_MAX, 3 * MEMORY_BYTES] {
            let (message, data) = lone(&mut writer, 1, bytes);
            let data = data.try_into_mut().expect("nobody else has it");
            assert!(data.capacity() - data.len() <= HEADER_BYTES + MESSAGE_BYTES);
            assert_eq!(read(&data, &[]), Ok(vec![message]));
            assert!(writer.data.capacity() <= MEMORY_BYTES);
        }
    }

    #[test]
    fn records_of_the_first_version_are_still_read() {
        let data = b"\x01\x07\x01\x00\x03\x02\x00\x00\x00\x02hi";
        let messages = read(data, &[]).expect("reads");
        assert_eq!((messages[0].position, &*messages[0].body), (7, &b"hi"[..]));
    }

    #[test]
    fn garbage_is_an_error() {
        arbtest::arbtest(|u| {
            let (data, bodies): (Vec<u8>, Vec<u8>) = u.arbitrary()?;
            let _ = read(&data, &bodies);
            Ok(())
        });
        assert!(read(&[3, 0, 0], &[]).is_err());
    }
}
