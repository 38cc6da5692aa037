//! The read buffer of a connection.

use std::io::{self, ErrorKind, Read};

/// What an idle connection costs; most connections of a large test hardly receive anything.
const SMALL_BYTES: usize = 4 * 1024;
/// Bytes that one read asks for under load: so many that a system call costs little per message, few enough for the cache.
const LARGE_BYTES: usize = 256 * 1024;

/// Received bytes that are not used up yet, at the front of one buffer that is reused for ever.
#[derive(Debug)]
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    end: usize,
    /// Whether the last read took all the room that there was.
    filled: bool,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; SMALL_BYTES],
            end: 0,
            filled: false,
        }
    }

    /// Reads once. `false` at the end of the stream. The buffer grows when reads fill it, and without bound as long as
    /// nothing can be consumed, so that a message of any size fits.
    ///
    /// # Errors
    /// Those of the socket; a timeout is `WouldBlock`.
    pub(crate) fn fill(&mut self, source: &mut impl Read) -> io::Result<bool> {
        if self.end == self.buffer.len() {
            self.buffer.resize(self.end * 2, 0);
        } else if self.filled && self.buffer.len() < LARGE_BYTES {
            self.buffer.resize(LARGE_BYTES, 0);
        }
        loop {
            match source.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    self.filled = self.end == self.buffer.len();
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What has arrived and is not consumed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.end]
    }

    /// Drops the first `count` bytes and moves the rest, normally less than a message, to the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.buffer.copy_within(count..self.end, 0);
        self.end -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<u8> {
        (0..count).map(|n| n.to_le_bytes()[0]).collect()
    }

    #[test]
    fn what_is_not_consumed_stays_and_a_full_buffer_grows() {
        let sent = numbers(SMALL_BYTES + 10);
        let mut source = sent.as_slice();
        let mut inbox = Inbox::new();
        assert!(inbox.fill(&mut source).unwrap());
        assert_eq!(inbox.bytes().len(), SMALL_BYTES);
        assert!(inbox.fill(&mut source).unwrap());
        assert_eq!(inbox.bytes(), sent);
        inbox.consume(SMALL_BYTES);
        assert_eq!(inbox.bytes(), &sent[SMALL_BYTES..]);
        assert!(!inbox.fill(&mut source).unwrap());
    }

    #[test]
    fn a_read_that_takes_all_room_makes_the_next_one_large() {
        let sent = numbers(SMALL_BYTES + LARGE_BYTES);
        let mut source = sent.as_slice();
        let mut inbox = Inbox::new();
        inbox.fill(&mut source).unwrap();
        inbox.consume(SMALL_BYTES);
        inbox.fill(&mut source).unwrap();
        assert_eq!(inbox.bytes(), &sent[SMALL_BYTES..]);
    }
}
