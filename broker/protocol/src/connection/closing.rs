//! The end of a channel or of the connection, from either side.

use super::channels::Phase;
use super::event::{Event, Failure};
use super::{Connection, Stage};
use crate::exception::{ConnectionException, Exception};
use crate::limits::CLOSE_TIMEOUT;
use crate::wire::frame::{Frame, METHOD, write_method_frame};
use crate::wire::method::{channel, connection};
use crate::wire::types::ChannelNumber;

impl Connection {
    /// Closes a channel or the connection for this reason.
    ///
    /// A channel exception closes the channel: from here on everything on it is discarded, until
    /// the peer knows ([`Event::ChannelReleased`]). It changes nothing if the channel is not open
    /// any more. On channel 0 it becomes a connection exception.
    pub fn raise(
        &mut self,
        channel: ChannelNumber,
        exception: impl Into<Exception>,
        out: &mut Vec<u8>,
    ) {
        let exception = match exception.into() {
            Exception::Connection(exception) => return self.close(exception, out),
            Exception::Channel(exception) if channel == ChannelNumber::CONNECTION => {
                return self.close(exception, out);
            }
            Exception::Channel(exception) => exception,
        };
        if !matches!(self.channels.phase(channel), Phase::Open | Phase::Content) {
            return;
        }
        self.assemblies.drop_channel(channel);
        self.channels.set(channel, Phase::Closing);
        let close = channel::Close {
            reply_code: exception.code.code(),
            reply_text: exception.reply_text(),
            class_id: exception.class_id,
            method_id: exception.method_id,
        };
        write_method_frame(channel, &close, out);
    }

    /// Closes the connection for this reason: from here on everything is discarded, until the peer
    /// knows ([`Event::CloseOk`]). It changes nothing if the connection is closing already.
    pub fn close(&mut self, exception: impl Into<ConnectionException>, out: &mut Vec<u8>) {
        self.say_close(&exception.into(), out);
    }

    fn say_close(&mut self, exception: &ConnectionException, out: &mut Vec<u8>) {
        if matches!(self.stage, Stage::Closing | Stage::Closed) {
            return;
        }
        let close = connection::Close {
            reply_code: exception.code.code(),
            reply_text: exception.reply_text(),
            class_id: exception.class_id,
            method_id: exception.method_id,
        };
        write_method_frame(ChannelNumber::CONNECTION, &close, out);
        self.end(Stage::Closing);
    }

    /// Closes the connection because of what the peer did.
    pub(super) fn fail(&mut self, exception: ConnectionException, out: &mut Vec<u8>) -> Failure {
        self.say_close(&exception, out);
        Failure::Close(exception)
    }

    /// The peer closes the connection.
    pub(super) fn closed_by_peer(
        &mut self,
        close: connection::Close,
        out: &mut Vec<u8>,
    ) -> Event<'static> {
        write_method_frame(ChannelNumber::CONNECTION, &connection::CloseOk {}, out);
        self.end(Stage::Closed);
        Event::Close {
            reply_code: close.reply_code,
            reply_text: close.reply_text,
        }
    }

    /// Takes a frame while `connection.close-ok` is due. Both sides may close at the same time.
    pub(super) fn closing(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Event<'static>> {
        if frame.kind != METHOD || frame.channel != ChannelNumber::CONNECTION {
            return None;
        }
        if frame.payload.starts_with(&connection::Close::PREFIX) {
            write_method_frame(ChannelNumber::CONNECTION, &connection::CloseOk {}, out);
        }
        if !frame.payload.starts_with(&connection::CloseOk::PREFIX) {
            return None;
        }
        self.stage = Stage::Closed;
        Some(Event::CloseOk)
    }

    /// Takes a frame of a channel while `channel.close-ok` is due on it. Both sides may close at
    /// the same time.
    pub(super) fn closing_channel(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Event<'static>> {
        if frame.kind != METHOD {
            return None;
        }
        if frame.payload.starts_with(&channel::Close::PREFIX) {
            write_method_frame(frame.channel, &channel::CloseOk {}, out);
        }
        if !frame.payload.starts_with(&channel::CloseOk::PREFIX) {
            return None;
        }
        self.channels.release(frame.channel);
        Some(Event::ChannelReleased(frame.channel))
    }

    fn end(&mut self, stage: Stage) {
        self.stage = stage;
        self.channels.clear();
        self.assemblies.clear();
        self.timers.start_close(CLOSE_TIMEOUT);
    }
}
