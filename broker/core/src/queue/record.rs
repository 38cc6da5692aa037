//! The run of messages that a queue keeps in the store under one key.
//!
//! Layout, version 1, numbers of variable length unless said otherwise:
//! ```text
//! u8 version = 1
//! first position
//! count of messages
//! per message:
//!   distance of its position from the one before (from `first` for the first)
//!   u8 flags: 1 persistent, 2 a new target follows, 4 expires
//!   if flag 4, when it expires: milliseconds since the Unix epoch
//!   target: if flag 2, length and bytes (it gets the next number); else the number of a target that was given before
//!   length of properties, length of body
//!   properties, body
//! ```

use bytes::Bytes;

use crate::codec::{Malformed, Reader, put_slice, put_varint};
use crate::message::{Body, Message};
use crate::store::Position;

const VERSION: u8 = 1;
const PERSISTENT: u8 = 1;
const NEW_TARGET: u8 = 2;
const EXPIRES: u8 = 4;

/// Builds the data of one record.
#[derive(Debug, Default)]
pub(super) struct RecordWriter {
    messages: Vec<u8>,
    targets: Vec<Box<[u8]>>,
    first: Position,
    last: Position,
    count: u32,
}

impl RecordWriter {
    pub(super) fn push(
        &mut self,
        position: Position,
        message: &Message<'_>,
        expires_at: Option<u64>,
    ) {
        if self.count == 0 {
            self.first = position;
            self.last = position;
        }
        put_varint(&mut self.messages, position - self.last);
        self.last = position;
        self.count += 1;
        let mut flags = if message.persistent { PERSISTENT } else { 0 };
        if expires_at.is_some() {
            flags |= EXPIRES;
        }
        let known = self
            .targets
            .iter()
            .rposition(|target| **target == *message.target);
        if known.is_none() {
            flags |= NEW_TARGET;
        }
        self.messages.push(flags);
        if let Some(at) = expires_at {
            put_varint(&mut self.messages, at);
        }
        if let Some(number) = known {
            put_varint(&mut self.messages, number as u64);
        } else {
            put_slice(&mut self.messages, message.target);
            // A long table would make the search above slow; targets beyond it are simply spelled out.
            if self.targets.len() < 64 {
                self.targets.push(message.target.into());
            }
        }
        put_varint(&mut self.messages, message.properties.len() as u64);
        put_varint(&mut self.messages, message.body.len() as u64);
        self.messages.extend_from_slice(message.properties);
        self.messages.extend_from_slice(message.body.bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The finished record (first, last, count, data); the writer is empty again.
    pub(super) fn finish(&mut self) -> (Position, Position, u32, Bytes) {
        let mut data = Vec::with_capacity(self.messages.len() + 16);
        data.push(VERSION);
        put_varint(&mut data, self.first);
        put_varint(&mut data, u64::from(self.count));
        data.append(&mut self.messages);
        let finished = (self.first, self.last, self.count, Bytes::from(data));
        self.targets.clear();
        self.count = 0;
        finished
    }
}

/// Walks the messages of a record, as [`Store::read`](crate::store::Store::read) has its data: each with its position and when it expires,
/// in milliseconds since the Unix epoch.
///
/// # Errors
/// The data is not what was written.
pub fn read_record<'a>(
    data: &'a [u8],
    mut each: impl FnMut(Position, Message<'a>, Option<u64>),
) -> Result<(), Malformed> {
    let mut reader = Reader::new(data);
    if reader.byte()? != VERSION {
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
            if targets.len() < 64 {
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
        let body = reader.varint32()? as usize;
        let message = Message {
            target,
            properties: reader.bytes(properties)?,
            body: Body::Inline(reader.bytes(body)?),
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

    type Plain = (Position, Vec<u8>, Vec<u8>, Vec<u8>, bool, Option<u64>);

    fn write(messages: &[Plain]) -> Bytes {
        let mut writer = RecordWriter::default();
        for (position, target, properties, body, persistent, expires_at) in messages {
            writer.push(
                *position,
                &Message {
                    target,
                    properties,
                    body: Body::Inline(body),
                    persistent: *persistent,
                },
                *expires_at,
            );
        }
        writer.finish().3
    }

    fn read(data: &Bytes) -> Result<Vec<Plain>, Malformed> {
        let mut messages = Vec::new();
        read_record(data, |position, message, expires_at| {
            messages.push((
                position,
                message.target.to_vec(),
                message.properties.to_vec(),
                message.body.bytes().to_vec(),
                message.persistent,
                expires_at,
            ));
        })?;
        Ok(messages)
    }

    #[test]
    fn any_messages_come_back_and_no_cut_is_taken_for_a_record() {
        arbtest::arbtest(|u| {
            let mut position: Position = u.int_in_range(0..=1 << 40)?;
            let mut messages = Vec::new();
            for _ in 0..u.int_in_range(0..=100)? {
                position += u.int_in_range(1..=300)?;
                let target = vec![u.int_in_range(0..=80)?; u.int_in_range(0..=3)?];
                let properties = vec![0; u.int_in_range(0..=5)?];
                let body = vec![7; u.int_in_range(0..=200)?];
                let (persistent, expires_at) = u.arbitrary()?;
                messages.push((position, target, properties, body, persistent, expires_at));
            }
            let data = write(&messages);
            assert_eq!(read(&data).as_ref(), Ok(&messages));
            let cut = u.int_in_range(0..=data.len().saturating_sub(1))?;
            assert!(read(&data.slice(..cut)).is_err());
            Ok(())
        });
    }

    #[test]
    fn garbage_is_an_error() {
        arbtest::arbtest(|u| {
            let bytes: Vec<u8> = u.arbitrary()?;
            let _ = read(&Bytes::from(bytes));
            Ok(())
        });
        assert!(read(&Bytes::from_static(&[2, 0, 0])).is_err());
    }
}
