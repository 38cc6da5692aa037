//! The properties of a message where they lie.

use super::cursor::{Cursor, Damage};

const HEADERS: u16 = 1 << 13;

/// The properties of a message, without the headers, borrowed from it. None is a property that is not there, or whose text is
/// not UTF-8, as AMQP demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PropertiesRef<'a> {
    /// MIME type of the body.
    pub content_type: Option<&'a str>,
    /// MIME encoding of the body.
    pub content_encoding: Option<&'a str>,
    /// 1 is transient, 2 persistent.
    pub delivery_mode: Option<u8>,
    /// Higher goes first, in queues that have priorities.
    pub priority: Option<u8>,
    /// Ties a reply to its request.
    pub correlation_id: Option<&'a str>,
    /// Where a reply is wanted.
    pub reply_to: Option<&'a str>,
    /// Milliseconds to live, in decimal digits.
    pub expiration: Option<&'a str>,
    /// The application's identity of the message.
    pub message_id: Option<&'a str>,
    /// Seconds since 1970-01-01T00:00Z, set by the application.
    pub timestamp: Option<u64>,
    /// The application's kind of message; `type` in the standard.
    pub kind: Option<&'a str>,
    /// The publishing user, as the publisher says.
    pub user_id: Option<&'a str>,
    /// The publishing application.
    pub app_id: Option<&'a str>,
    /// Reserved by the standard.
    pub cluster_id: Option<&'a str>,
}

impl<'a> PropertiesRef<'a> {
    /// Reads flags and list. No bytes at all are no properties.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Damage> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut cursor = Cursor::new(bytes);
        let flags = u16::from_be_bytes(cursor.array()?);
        let mut list = List { flags, cursor };
        let properties = Self {
            content_type: list.text(15)?,
            content_encoding: list.text(14)?,
            delivery_mode: list.octet(12)?,
            priority: list.octet(11)?,
            correlation_id: list.text(10)?,
            reply_to: list.text(9)?,
            expiration: list.text(8)?,
            message_id: list.text(7)?,
            timestamp: list.number(6)?,
            kind: list.text(5)?,
            user_id: list.text(4)?,
            app_id: list.text(3)?,
            cluster_id: list.text(2)?,
        };
        if flags & HEADERS != 0 || !list.cursor.is_empty() {
            return Err(Damage::Surplus);
        }
        Ok(properties)
    }
}

struct List<'a> {
    flags: u16,
    cursor: Cursor<'a>,
}

impl<'a> List<'a> {
    fn has(&self, bit: u32) -> bool {
        self.flags & (1 << bit) != 0
    }

    fn text(&mut self, bit: u32) -> Result<Option<&'a str>, Damage> {
        if !self.has(bit) {
            return Ok(None);
        }
        Ok(std::str::from_utf8(self.cursor.short()?).ok())
    }

    fn octet(&mut self, bit: u32) -> Result<Option<u8>, Damage> {
        self.has(bit).then(|| self.cursor.octet()).transpose()
    }

    fn number(&mut self, bit: u32) -> Result<Option<u64>, Damage> {
        let array = self.has(bit).then(|| self.cursor.array()).transpose()?;
        Ok(array.map(u64::from_be_bytes))
    }
}
