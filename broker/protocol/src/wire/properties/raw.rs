//! Properties as they lie on the wire.

use super::{BasicProperties, flag};
use crate::limits::TABLE_DEPTH_MAX;
use crate::wire::cursor::Cursor;
use crate::wire::error::WireError;
use crate::wire::table::FieldTable;

/// The flags and the list of a content header, exactly as they were sent.
///
/// Nothing is decoded before it is asked for. A property that the flags do not name costs one
/// comparison; one that they do name costs a walk over those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawProperties<'a> {
    flags: u16,
    list: &'a [u8],
}

impl<'a> RawProperties<'a> {
    /// Splits off the flags. The list is not looked at; see [`RawProperties::check`].
    ///
    /// # Errors
    /// [`WireError::Truncated`] if there is no room for the flags.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, WireError> {
        let (flags, list) = bytes.split_first_chunk().ok_or(WireError::Truncated)?;
        Ok(Self {
            flags: u16::from_be_bytes(*flags),
            list,
        })
    }

    /// Whether the list holds exactly what the flags say, headers included. Strings may be of any
    /// encoding.
    ///
    /// Takes time in proportion to the properties and header fields that are there, and allocates
    /// nothing.
    #[inline]
    pub fn check(self) -> Result<(), WireError> {
        if self.flags == 0 && self.list.is_empty() {
            return Ok(());
        }
        self.walk(flag::END, |cursor| {
            FieldTable::skip(cursor, TABLE_DEPTH_MAX)
        })
        .and_then(Cursor::finish)
    }

    /// Decodes all of them.
    pub fn decode(self) -> Result<BasicProperties, WireError> {
        let mut bytes = Vec::with_capacity(2 + self.list.len());
        bytes.extend_from_slice(&self.flags.to_be_bytes());
        bytes.extend_from_slice(self.list);
        BasicProperties::decode(&bytes)
    }

    /// Whether there are header fields (the table itself may be empty).
    #[inline]
    pub fn has_headers(self) -> bool {
        self.flags & flag::HEADERS != 0
    }

    /// The flags.
    pub fn flags(self) -> u16 {
        self.flags
    }

    /// What follows the flags.
    pub fn list(self) -> &'a [u8] {
        self.list
    }

    /// MIME type of the body.
    pub fn content_type(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::CONTENT_TYPE)
    }

    /// MIME encoding of the body.
    pub fn content_encoding(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::CONTENT_ENCODING)
    }

    /// The application's own fields, decoded.
    pub fn headers(self) -> Result<Option<FieldTable>, WireError> {
        self.find(flag::HEADERS, |cursor| {
            FieldTable::read(cursor, TABLE_DEPTH_MAX)
        })
    }

    /// The application's own fields as they were sent, without the length before them.
    pub fn headers_raw(self) -> Result<Option<&'a [u8]>, WireError> {
        self.find(flag::HEADERS, Cursor::long_bytes)
    }

    /// All but the headers: the flags without theirs, and the list before and behind the place where headers are, or would be.
    pub fn without_headers(self) -> Result<(u16, &'a [u8], &'a [u8]), WireError> {
        let mut cursor = self.walk_to(flag::HEADERS)?;
        let before = self.list.len() - cursor.rest().len();
        if self.has_headers() {
            FieldTable::skip(&mut cursor, TABLE_DEPTH_MAX)?;
        }
        let before = self.list.get(..before).unwrap_or_default();
        Ok((self.flags & !flag::HEADERS, before, cursor.rest()))
    }

    /// 1 is transient, 2 persistent.
    #[inline]
    pub fn delivery_mode(self) -> Result<Option<u8>, WireError> {
        self.find(flag::DELIVERY_MODE, Cursor::u8)
    }

    /// Higher goes first, in queues that have priorities.
    #[inline]
    pub fn priority(self) -> Result<Option<u8>, WireError> {
        self.find(flag::PRIORITY, Cursor::u8)
    }

    /// Ties a reply to its request.
    pub fn correlation_id(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::CORRELATION_ID)
    }

    /// Where a reply is wanted.
    pub fn reply_to(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::REPLY_TO)
    }

    /// Milliseconds to live, in decimal digits.
    pub fn expiration(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::EXPIRATION)
    }

    /// The application's identity of the message.
    pub fn message_id(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::MESSAGE_ID)
    }

    /// Seconds since 1970, set by the application.
    pub fn timestamp(self) -> Result<Option<u64>, WireError> {
        self.find(flag::TIMESTAMP, Cursor::u64)
    }

    /// The application's kind of message; `type` in the standard.
    pub fn kind(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::TYPE)
    }

    /// The publishing user.
    pub fn user_id(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::USER_ID)
    }

    /// The publishing application.
    pub fn app_id(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::APP_ID)
    }

    /// Reserved by the standard.
    pub fn cluster_id(self) -> Result<Option<&'a str>, WireError> {
        self.string(flag::CLUSTER_ID)
    }

    #[inline]
    fn string(self, flag: u16) -> Result<Option<&'a str>, WireError> {
        self.find(flag, Cursor::short_str)
    }

    #[inline]
    fn find<T>(
        self,
        flag: u16,
        read: impl FnOnce(&mut Cursor<'a>) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.flags & flag == 0 {
            return Ok(None);
        }
        read(&mut self.walk_to(flag)?).map(Some)
    }

    /// The list from the property `until` on. Headers before it are passed over by their length.
    #[inline]
    fn walk_to(self, until: u16) -> Result<Cursor<'a>, WireError> {
        self.walk(until, |cursor| cursor.long_bytes().map(drop))
    }

    #[inline]
    fn walk(
        self,
        until: u16,
        pass_headers: impl Fn(&mut Cursor<'a>) -> Result<(), WireError>,
    ) -> Result<Cursor<'a>, WireError> {
        let mut cursor = Cursor::new(self.list);
        // The properties before it are those with the higher flags.
        let mut before = self.flags & !(until | (until - 1));
        while before != 0 {
            let next = 1 << before.ilog2();
            before &= !next;
            match next {
                flag::HEADERS => pass_headers(&mut cursor)?,
                flag::DELIVERY_MODE | flag::PRIORITY => drop(cursor.u8()?),
                flag::TIMESTAMP => drop(cursor.u64()?),
                _ => drop(cursor.short_bytes()?),
            }
        }
        Ok(cursor)
    }
}
