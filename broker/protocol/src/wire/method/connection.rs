//! Class 10: the connection itself, always on channel 0 (spec 1.4).

use std::sync::Arc;

use bytes::Bytes;

use super::class::class;
use crate::wire::table::FieldTable;
use crate::wire::types::{ShortString, VhostName};

class! {
    connection = 10;

    /// The server says who it is and how one may log in.
    Start = 10 "start" {
        /// 0
        version_major: u8,
        /// 9
        version_minor: u8,
        /// Product, version, capabilities.
        server_properties: Arc<FieldTable>,
        /// Names, separated by spaces.
        mechanisms: Bytes,
        /// Names, separated by spaces.
        locales: Bytes,
    }

    /// The client chooses a mechanism and makes its first move.
    StartOk = 11 "start-ok" {
        /// Product, version, capabilities, connection name.
        client_properties: FieldTable,
        /// One of those that were offered.
        mechanism: ShortString,
        /// What the mechanism asks for.
        response: Bytes,
        /// One of those that were offered.
        locale: ShortString,
    }

    /// The server wants to know more.
    Secure = 20 "secure" {
        /// What the mechanism asks.
        challenge: Bytes,
    }

    /// The client tells more.
    SecureOk = 21 "secure-ok" {
        /// What the mechanism asks for.
        response: Bytes,
    }

    /// The server proposes limits.
    Tune = 30 "tune" {
        /// How many channels may be open; 0 means no limit.
        channel_max: u16,
        /// The largest frame in octets, all included; 0 means no limit.
        frame_max: u32,
        /// Seconds; 0 means none are wanted.
        heartbeat: u16,
    }

    /// The client settles the limits.
    TuneOk = 31 "tune-ok" {
        /// How many channels may be open; 0 means no limit.
        channel_max: u16,
        /// The largest frame in octets, all included; 0 means no limit.
        frame_max: u32,
        /// Seconds; 0 means none are wanted.
        heartbeat: u16,
    }

    /// The client enters a virtual host.
    Open = 40 "open" {
        /// Its name.
        virtual_host: VhostName,
        ; [ShortString] [bool]
    }

    /// The client may open channels.
    OpenOk = 41 "open-ok" {
        [ShortString]
    }

    /// Either side ends the connection.
    Close = 50 "close" {
        /// Why.
        reply_code: u16,
        /// Why, in words.
        reply_text: ShortString,
        /// The class of the method that failed, or 0.
        class_id: u16,
        /// The method that failed, or 0.
        method_id: u16,
    }

    /// The other side has seen it.
    CloseOk = 51 "close-ok" {}

    /// The server takes no more publishes for now (RabbitMQ's extension).
    Blocked = 60 "blocked" {
        /// Why, in words.
        reason: ShortString,
    }

    /// The server takes publishes again (RabbitMQ's extension).
    Unblocked = 61 "unblocked" {}

    /// The client has a new password or token (RabbitMQ's extension).
    UpdateSecret = 70 "update-secret" {
        /// The new one.
        new_secret: Bytes,
        /// For the log.
        reason: ShortString,
    }

    /// The new password or token holds (RabbitMQ's extension).
    UpdateSecretOk = 71 "update-secret-ok" {}
}
