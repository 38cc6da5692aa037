//! Frames of an open connection.

use super::channels::Phase;
use super::content::Arguments;
use super::event::{Event, Failure};
use super::misuse::is_known;
use super::{Connection, Stage};
use crate::exception::{ConnectionException, Exception};
use crate::wire::frame::{Frame, METHOD, write_method_frame};
use crate::wire::method::{
    Method, access, basic, channel, confirm, connection, exchange, queue, tx,
};
use crate::wire::types::ChannelNumber;

impl Connection {
    /// Writes `channel.open-ok`. To be called after [`Event::ChannelOpen`]; a refusal is a
    /// [`Connection::raise`].
    pub fn accept_channel(&mut self, channel: ChannelNumber, out: &mut Vec<u8>) {
        if self.channels.phase(channel) == Phase::Open {
            write_method_frame(channel, &channel::OpenOk {}, out);
        }
    }

    /// Writes `channel.close-ok`. To be called after [`Event::ChannelClose`], once the caller holds
    /// nothing more for the channel.
    pub fn release_channel(&mut self, channel: ChannelNumber, out: &mut Vec<u8>) {
        if self.stage == Stage::Running {
            write_method_frame(channel, &channel::CloseOk {}, out);
        }
    }

    /// Takes a frame of an open connection.
    pub(super) fn running(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        if frame.channel == ChannelNumber::CONNECTION {
            return self.connection_frame(frame, out);
        }
        if !is_known(frame) {
            return Err(self.unexpected_frame(frame, out));
        }
        match self.channels.phase(frame.channel) {
            Phase::Closing => Ok(self.closing_channel(frame, out)),
            Phase::Content => self.content_frame(frame, out),
            Phase::Unopened | Phase::Open if frame.kind != METHOD => {
                let text = "expected method frame, got non method frame instead";
                Err(self.fail(ConnectionException::unexpected_frame(text), out))
            }
            Phase::Unopened | Phase::Open if frame.payload.starts_with(&basic::Publish::PREFIX) => {
                self.publish(frame, out)
            }
            phase => {
                let method = Method::decode(frame.payload)
                    .map_err(|error| self.undecodable(frame.payload, error, out))?;
                self.channel_method(frame.channel, phase, method, out)
            }
        }
    }

    fn connection_frame(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        let Some(method) = self.method_of_connection(frame, out)? else {
            return Ok(None);
        };
        match method {
            connection::Method::Close(close) => Ok(Some(self.closed_by_peer(close, out))),
            connection::Method::UpdateSecret(_) => {
                Ok(Some(Event::Method(frame.channel, method.into())))
            }
            method => Err(self.unexpected_method(&method.into(), out)),
        }
    }

    /// Takes a method on a channel where one is due.
    fn channel_method(
        &mut self,
        channel: ChannelNumber,
        phase: Phase,
        method: Method,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        use channel::Method as ChannelMethod;
        let (class_id, method_id) = (method.class_id(), method.method_id());
        let refused = match (phase, method) {
            (_, Method::Channel(ChannelMethod::Open(_))) => {
                match self.channels.open(channel, self.tuned.channel_max) {
                    Ok(()) => return Ok(Some(Event::ChannelOpen(channel))),
                    Err(refused) => refused,
                }
            }
            (Phase::Unopened, _) => ConnectionException::channel_error("expected 'channel.open'"),
            (_, Method::Channel(ChannelMethod::Close(close))) => {
                self.channels.release(channel);
                return Ok(Some(Event::channel_close(channel, close)));
            }
            (_, Method::Channel(ChannelMethod::Flow(channel::Flow { active: true }))) => {
                write_method_frame(channel, &channel::FlowOk { active: true }, out);
                return Ok(None);
            }
            (_, Method::Channel(ChannelMethod::Flow(channel::Flow { active: false }))) => {
                ConnectionException::not_implemented("active=false")
            }
            (_, Method::Access(access::Method::Request(_))) => {
                write_method_frame(channel, &access::RequestOk { ticket: 1 }, out);
                return Ok(None);
            }
            (_, method) if is_request(&method) => return Ok(Some(Event::Method(channel, method))),
            _ => ConnectionException::command_invalid("unimplemented method"),
        };
        Err(self.fail(refused.at(class_id, method_id), out))
    }

    /// Takes a `basic.publish` that is not whole, or not of the common form.
    fn publish(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        let arguments = Arguments::split(frame.payload)
            .map_err(|error| self.undecodable(frame.payload, error, out))?;
        let exception = if self.channels.phase(frame.channel) == Phase::Unopened {
            ConnectionException::channel_error("expected 'channel.open'")
        } else if arguments.immediate {
            ConnectionException::not_implemented("immediate=true")
        } else {
            self.assemblies.begin(frame.channel, &arguments);
            self.channels.set(frame.channel, Phase::Content);
            return Ok(None);
        };
        Err(self.fail(
            exception.at(basic::CLASS_ID, basic::Publish::METHOD_ID),
            out,
        ))
    }

    /// Takes a frame on a channel where content is due.
    fn content_frame(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        let channel = frame.channel;
        match self.assemblies.frame(frame) {
            Ok(None) => Ok(None),
            Ok(Some(publish)) => {
                self.channels.set(channel, Phase::Open);
                Ok(Some(Event::Publish(publish)))
            }
            Err(exception) => match exception.at(basic::CLASS_ID, basic::Publish::METHOD_ID) {
                Exception::Channel(exception) => Ok(Some(Event::Refused { channel, exception })),
                Exception::Connection(exception) => Err(self.fail(exception, out)),
            },
        }
    }
}

/// Whether it is a request for a broker to answer.
fn is_request(method: &Method) -> bool {
    match method {
        Method::Exchange(method) => matches!(
            method,
            exchange::Method::Declare(_)
                | exchange::Method::Delete(_)
                | exchange::Method::Bind(_)
                | exchange::Method::Unbind(_)
        ),
        Method::Queue(method) => matches!(
            method,
            queue::Method::Declare(_)
                | queue::Method::Bind(_)
                | queue::Method::Purge(_)
                | queue::Method::Delete(_)
                | queue::Method::Unbind(_)
        ),
        Method::Basic(method) => matches!(
            method,
            basic::Method::Qos(_)
                | basic::Method::Consume(_)
                | basic::Method::Cancel(_)
                | basic::Method::Get(_)
                | basic::Method::Ack(_)
                | basic::Method::Reject(_)
                | basic::Method::RecoverAsync(_)
                | basic::Method::Recover(_)
                | basic::Method::Nack(_)
        ),
        Method::Tx(method) => {
            matches!(
                method,
                tx::Method::Select(_) | tx::Method::Commit(_) | tx::Method::Rollback(_)
            )
        }
        Method::Confirm(method) => matches!(method, confirm::Method::Select(_)),
        Method::Connection(_) | Method::Channel(_) | Method::Access(_) => false,
    }
}
