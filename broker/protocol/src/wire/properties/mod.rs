//! The properties of the basic class: fourteen values, each there or not, behind a word of flags
//! (spec 4.2.6.1).
//!
//! [`BasicProperties`] owns them decoded; [`RawProperties`] looks single ones up where they lie.

mod raw;

use bytes::Bytes;

use super::cursor::{Cursor, put_short_string};
use super::error::WireError;
use super::table::FieldTable;
use super::types::ShortString;
use crate::limits::TABLE_DEPTH_MAX;

pub use raw::RawProperties;

/// The flag of each property, in the order of the list: in the word that properties begin with on the wire.
#[expect(missing_docs, reason = "each is named as its property")]
pub mod flag {
    pub const CONTENT_TYPE: u16 = 1 << 15;
    pub const CONTENT_ENCODING: u16 = 1 << 14;
    pub const HEADERS: u16 = 1 << 13;
    pub const DELIVERY_MODE: u16 = 1 << 12;
    pub const PRIORITY: u16 = 1 << 11;
    pub const CORRELATION_ID: u16 = 1 << 10;
    pub const REPLY_TO: u16 = 1 << 9;
    pub const EXPIRATION: u16 = 1 << 8;
    pub const MESSAGE_ID: u16 = 1 << 7;
    pub const TIMESTAMP: u16 = 1 << 6;
    pub const TYPE: u16 = 1 << 5;
    pub const USER_ID: u16 = 1 << 4;
    pub const APP_ID: u16 = 1 << 3;
    pub const CLUSTER_ID: u16 = 1 << 2;
    /// Below the last property. This flag and the one below it mean nothing.
    pub(crate) const END: u16 = 1 << 1;
}

/// The properties, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasicProperties {
    /// MIME type of the body.
    pub content_type: Option<ShortString>,
    /// MIME encoding of the body.
    pub content_encoding: Option<ShortString>,
    /// The application's own fields.
    pub headers: Option<FieldTable>,
    /// 1 is transient, 2 persistent.
    pub delivery_mode: Option<u8>,
    /// Higher goes first, in queues that have priorities.
    pub priority: Option<u8>,
    /// Ties a reply to its request.
    pub correlation_id: Option<ShortString>,
    /// Where a reply is wanted.
    pub reply_to: Option<ShortString>,
    /// Milliseconds to live, in decimal digits.
    pub expiration: Option<ShortString>,
    /// The application's identity of the message.
    pub message_id: Option<ShortString>,
    /// Seconds since 1970, set by the application.
    pub timestamp: Option<u64>,
    /// The application's kind of message; `type` in the standard.
    pub kind: Option<ShortString>,
    /// The publishing user. If present it must be the one that logged in.
    pub user_id: Option<ShortString>,
    /// The publishing application.
    pub app_id: Option<ShortString>,
    /// Reserved by the standard.
    pub cluster_id: Option<ShortString>,
}

impl BasicProperties {
    /// Decodes flags and list, which must be all that there is. The two lowest flags mean nothing
    /// and are ignored.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut cursor = Cursor::new(bytes);
        let flags = cursor.u16()?;
        let has = |flag| flags & flag != 0;
        let mut string = |flag| {
            if has(flag) {
                cursor.short_string().map(Some)
            } else {
                Ok(None)
            }
        };
        let content_type = string(flag::CONTENT_TYPE)?;
        let content_encoding = string(flag::CONTENT_ENCODING)?;
        let headers = has(flag::HEADERS)
            .then(|| FieldTable::read(&mut cursor, TABLE_DEPTH_MAX))
            .transpose()?;
        let delivery_mode = has(flag::DELIVERY_MODE).then(|| cursor.u8()).transpose()?;
        let priority = has(flag::PRIORITY).then(|| cursor.u8()).transpose()?;
        let mut string = |flag| {
            if has(flag) {
                cursor.short_string().map(Some)
            } else {
                Ok(None)
            }
        };
        let correlation_id = string(flag::CORRELATION_ID)?;
        let reply_to = string(flag::REPLY_TO)?;
        let expiration = string(flag::EXPIRATION)?;
        let message_id = string(flag::MESSAGE_ID)?;
        let timestamp = has(flag::TIMESTAMP).then(|| cursor.u64()).transpose()?;
        let mut string = |flag| {
            if has(flag) {
                cursor.short_string().map(Some)
            } else {
                Ok(None)
            }
        };
        let kind = string(flag::TYPE)?;
        let user_id = string(flag::USER_ID)?;
        let app_id = string(flag::APP_ID)?;
        let cluster_id = string(flag::CLUSTER_ID)?;
        cursor.finish()?;
        Ok(Self {
            content_type,
            content_encoding,
            headers,
            delivery_mode,
            priority,
            correlation_id,
            reply_to,
            expiration,
            message_id,
            timestamp,
            kind,
            user_id,
            app_id,
            cluster_id,
        })
    }

    /// Appends flags and list.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.flags().to_be_bytes());
        put_strings([&self.content_type, &self.content_encoding], out);
        if let Some(headers) = &self.headers {
            headers.encode(out);
        }
        out.extend(self.delivery_mode);
        out.extend(self.priority);
        put_strings(
            [
                &self.correlation_id,
                &self.reply_to,
                &self.expiration,
                &self.message_id,
            ],
            out,
        );
        if let Some(timestamp) = self.timestamp {
            out.extend_from_slice(&timestamp.to_be_bytes());
        }
        put_strings(
            [&self.kind, &self.user_id, &self.app_id, &self.cluster_id],
            out,
        );
    }

    /// Flags and list in memory of their own.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode(&mut out);
        out.into()
    }

    fn flags(&self) -> u16 {
        let present = [
            self.content_type.is_some(),
            self.content_encoding.is_some(),
            self.headers.is_some(),
            self.delivery_mode.is_some(),
            self.priority.is_some(),
            self.correlation_id.is_some(),
            self.reply_to.is_some(),
            self.expiration.is_some(),
            self.message_id.is_some(),
            self.timestamp.is_some(),
            self.kind.is_some(),
            self.user_id.is_some(),
            self.app_id.is_some(),
            self.cluster_id.is_some(),
        ];
        present
            .into_iter()
            .fold(0, |flags, is_present| flags << 1 | u16::from(is_present))
            << 2
    }
}

fn put_strings<const N: usize>(strings: [&Option<ShortString>; N], out: &mut Vec<u8>) {
    for string in strings.into_iter().flatten() {
        put_short_string(string, out);
    }
}
