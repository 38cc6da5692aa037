//! Finds a whole message in received bytes.

use crate::perf::amqp::frame::{HEAD, METHOD, OVERHEAD};

/// A publish with its content, all of it at hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Publish<'a> {
    pub(super) channel: u16,
    /// Exchange and routing key as on the wire, two short strings.
    pub(super) address: &'a [u8],
    /// The content header frame and the body frames.
    pub(super) content: &'a [u8],
    /// Bytes of the whole message.
    pub(super) length: usize,
}

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    Publish(Publish<'a>),
    /// A publish that has not arrived as a whole.
    Cut,
    /// Another frame, or too few bytes to tell.
    Other,
}

impl<'a> Next<'a> {
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        match bytes.get(..HEAD + 4) {
            Some(&[METHOD, .., 0, 60, 0, 40]) => publish(bytes).map_or(Self::Cut, Self::Publish),
            _ => Self::Other,
        }
    }
}

#[inline]
fn publish(bytes: &[u8]) -> Option<Publish<'_>> {
    const ADDRESS_AT: usize = HEAD + 6;
    let channel = u16::from_be_bytes([*bytes.get(1)?, *bytes.get(2)?]);
    let key_at = ADDRESS_AT + 1 + usize::from(*bytes.get(ADDRESS_AT)?);
    let address_end = key_at + 1 + usize::from(*bytes.get(key_at)?);
    let header_at = frame_length(bytes)?;
    let header = bytes.get(header_at..)?;
    let mut missing = u64::from_be_bytes(*header.get(HEAD + 4..)?.first_chunk()?);
    let mut end = header_at + frame_length(header)?;
    while missing > 0 {
        let length = frame_length(bytes.get(end..)?)?;
        end += length;
        missing = missing.saturating_sub((length - OVERHEAD) as u64);
    }
    Some(Publish {
        channel,
        address: bytes.get(ADDRESS_AT..address_end)?,
        content: bytes.get(header_at..end)?,
        length: end,
    })
}

#[inline]
fn frame_length(bytes: &[u8]) -> Option<usize> {
    let size = bytes.get(3..HEAD)?.first_chunk()?;
    Some(u32::from_be_bytes(*size) as usize + OVERHEAD)
}

/// Rewrites the channel of all frames in `content`.
pub(super) fn set_channel(content: &mut [u8], channel: u16) {
    let mut rest = content;
    while let Some(length) = frame_length(rest) {
        let Some((frame, after)) = rest.split_at_mut_checked(length) else {
            return;
        };
        frame[1..3].copy_from_slice(&channel.to_be_bytes());
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::amqp::call::Call;
    use crate::perf::amqp::frame::{BODY, END, Frame, HEADER};
    use crate::perf::amqp::method::{basic, channel};

    fn message() -> (Vec<u8>, usize) {
        let mut bytes = Call::new(3, basic::PUBLISH)
            .short(0)
            .name("x")
            .name("key")
            .octet(0)
            .finish();
        let content_at = bytes.len();
        bytes.extend([
            HEADER, 0, 3, 0, 0, 0, 14, 0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, END,
        ]);
        bytes.extend([BODY, 0, 3, 0, 0, 0, 2, b'a', b'b', END]);
        bytes.extend([BODY, 0, 3, 0, 0, 0, 1, b'c', END]);
        (bytes, content_at)
    }

    #[test]
    fn a_message_is_cut_until_its_last_byte() {
        let (bytes, content_at) = message();
        for cut in 0..bytes.len() {
            let expected = if cut < 11 { Next::Other } else { Next::Cut };
            assert_eq!(Next::of(&bytes[..cut]), expected, "cut at {cut}");
        }
        let whole = Publish {
            channel: 3,
            address: b"\x01x\x03key",
            content: &bytes[content_at..],
            length: bytes.len(),
        };
        assert_eq!(Next::of(&bytes), Next::Publish(whole));
        assert_eq!(
            Next::of(&Call::new(3, channel::OPEN).name("").finish()),
            Next::Other
        );
    }

    #[test]
    fn all_frames_change_their_channel() {
        let (mut bytes, _) = message();
        set_channel(&mut bytes, 700);
        let (mut at, mut frames) = (0, 0);
        while let Some((frame, length)) = Frame::split(&bytes[at..]).unwrap() {
            assert_eq!(frame.channel, 700);
            (at, frames) = (at + length, frames + 1);
        }
        assert_eq!((at, frames), (bytes.len(), 4));
    }
}
