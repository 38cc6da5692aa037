//! Splits received bytes into frames and reads their fields.

use anyhow::{Result, bail};

use super::method::{MethodId, basic, channel, connection};

/// Frame type of a method.
pub(crate) const METHOD: u8 = 1;
/// Frame type of a content header.
pub(crate) const HEADER: u8 = 2;
/// Frame type of a piece of a content body.
pub(crate) const BODY: u8 = 3;
/// The octet that ends every frame.
pub(crate) const END: u8 = 0xCE;
/// Bytes of a frame before its payload: type, channel, size.
pub(crate) const HEAD: usize = 7;
/// Bytes of a frame beside its payload.
pub(crate) const OVERHEAD: usize = HEAD + 1;

/// One frame, borrowed from the read buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Splits the first frame from `bytes`: the frame and its length on the wire, or `None` while it is incomplete.
    ///
    /// # Errors
    /// If the bytes are not an AMQP 0-9-1 frame.
    pub(crate) fn split(bytes: &'a [u8]) -> Result<Option<(Self, usize)>> {
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let &[kind, c1, c2, s1, s2, s3, s4] = head;
        if head.starts_with(b"AMQP") {
            bail!(
                "the other side does not speak AMQP 0-9-1: it answered with the protocol header of another version"
            );
        }
        let size = u32::from_be_bytes([s1, s2, s3, s4]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(size) else {
            return Ok(None);
        };
        match rest.first() {
            None => Ok(None),
            Some(&END) => Ok(Some((
                Self {
                    kind,
                    channel: u16::from_be_bytes([c1, c2]),
                    payload,
                },
                size + OVERHEAD,
            ))),
            Some(other) => bail!(
                "a frame of type {kind} and {size} bytes ends with octet {other:#04x} instead of 0xce"
            ),
        }
    }

    /// Class and method number, if this is a method frame.
    pub(crate) fn method(&self) -> Option<MethodId> {
        let ids = self
            .payload
            .first_chunk::<4>()
            .filter(|_| self.kind == METHOD)?;
        Some((
            u16::from_be_bytes([ids[0], ids[1]]),
            u16::from_be_bytes([ids[2], ids[3]]),
        ))
    }

    /// The arguments after class and method number.
    pub(crate) fn arguments(&self) -> Fields<'a> {
        Fields(self.payload.get(4..).unwrap_or_default())
    }

    /// An error if this frame says that the broker closes the connection or the channel, or cancels a consumer.
    pub(crate) fn refuse_closing(&self) -> Result<()> {
        let what = match self.method() {
            Some(connection::CLOSE) => "the connection",
            Some(channel::CLOSE) => "the channel",
            Some(basic::CANCEL) => bail!(
                "the broker cancelled the consumer: its queue was deleted or became unavailable"
            ),
            _ => return Ok(()),
        };
        let mut arguments = self.arguments();
        let code = arguments.short().unwrap_or_default();
        let text = arguments.name().unwrap_or_default();
        bail!("the broker closed {what}: {code} {text}")
    }
}

/// Reads fields one after the other; `None` at the end of the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn octet(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(crate) fn short(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn long(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn longlong(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A short string; one that is not UTF-8 reads as empty.
    pub(crate) fn name(&mut self) -> Option<&'a str> {
        let size = self.octet()?;
        self.take(usize::from(size))
            .map(|bytes| std::str::from_utf8(bytes).unwrap_or_default())
    }

    /// A long string, or a table or array as raw bytes.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let size = self.long()? as usize;
        self.take(size)
    }

    /// The value of the entry `name` of the field table `table`, if it is there and is a text.
    pub(crate) fn text_in(table: &'a [u8], name: &str) -> Option<&'a str> {
        let mut entries = Fields(table);
        loop {
            let key = entries.name()?;
            let kind = entries.octet()?;
            let value = match kind {
                b'S' | b'F' | b'A' | b'x' => entries.bytes()?,
                b't' | b'b' | b'B' => entries.take(1)?,
                b's' | b'u' => entries.take(2)?,
                b'I' | b'i' | b'f' => entries.take(4)?,
                b'D' => entries.take(5)?,
                b'l' | b'L' | b'd' | b'T' => entries.take(8)?,
                b'V' => &[],
                _ => return None,
            };
            if key == name && kind == b'S' {
                return std::str::from_utf8(value).ok();
            }
        }
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{Call, Value, put_table};
    use super::super::method::exchange;
    use super::*;

    #[test]
    fn a_frame_is_incomplete_until_its_last_byte() {
        let bytes = Call::new(3, exchange::DECLARE_OK).finish();
        for cut in 0..bytes.len() {
            assert!(
                Frame::split(&bytes[..cut]).unwrap().is_none(),
                "cut at {cut}"
            );
        }
        let (frame, length) = Frame::split(&bytes).unwrap().unwrap();
        assert_eq!(
            (frame.kind, frame.channel, frame.method(), length),
            (METHOD, 3, Some(exchange::DECLARE_OK), bytes.len())
        );
    }

    #[test]
    fn a_wrong_end_and_a_foreign_protocol_are_errors() {
        let mut bytes = Call::new(3, exchange::DECLARE_OK).finish();
        *bytes.last_mut().unwrap() = 0;
        assert!(
            Frame::split(&bytes)
                .unwrap_err()
                .to_string()
                .contains("0x00")
        );
        assert!(
            Frame::split(b"AMQP\x00\x01\x00\x00")
                .unwrap_err()
                .to_string()
                .contains("another version")
        );
    }

    #[test]
    fn a_close_is_an_error_with_code_and_text() {
        let bytes = Call::new(1, channel::CLOSE)
            .short(404)
            .name("NOT_FOUND - no queue 'q'")
            .short(0)
            .short(0)
            .finish();
        let (frame, _) = Frame::split(&bytes).unwrap().unwrap();
        let error = frame.refuse_closing().unwrap_err().to_string();
        assert_eq!(
            error,
            "the broker closed the channel: 404 NOT_FOUND - no queue 'q'"
        );
    }

    #[test]
    fn a_text_is_found_behind_other_entries() {
        let mut table = Vec::new();
        let entries = vec![
            (
                "capabilities".to_owned(),
                Value::Table(vec![("product".to_owned(), Value::Text("no".to_owned()))]),
            ),
            ("n".to_owned(), Value::Integer(5)),
            ("product".to_owned(), Value::Text("yes".to_owned())),
        ];
        put_table(&mut table, &entries);
        assert_eq!(Fields::text_in(&table[4..], "product"), Some("yes"));
        assert_eq!(Fields::text_in(&table[4..], "version"), None);
    }
}
