//! From the protocol header to `connection.open-ok` (spec 2.2.4).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::client::ClientProperties;
use super::event::{DropReason, Event, Failure};
use super::misuse::is_known;
use super::offer::Tuned;
use super::{Connection, Stage, Step};
use crate::exception::ConnectionException;
use crate::limits::{FRAME_MAX_FLOOR, SILENT_CLOSE_DELAY};
use crate::wire::frame::{Frame, HEARTBEAT, METHOD, PROTOCOL_HEADER, write_method_frame};
use crate::wire::method::{Method, connection};
use crate::wire::types::ChannelNumber;

/// What `connection.start` takes, about, with the properties that a broker is known by.
const START_BYTES: usize = 640;

/// The header of version 0-9, whose methods are the same.
const PROTOCOL_HEADER_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

impl Connection {
    /// Lets the client in. To be called after [`Event::Login`].
    pub fn accept_login(&mut self, out: &mut Vec<u8>) {
        if self.stage != Stage::Securing {
            return;
        }
        let tune = connection::Tune {
            channel_max: self.offer.channel_max,
            frame_max: self.offer.frame_max(),
            heartbeat: self.offer.heartbeat_secs(),
        };
        write_method_frame(ChannelNumber::CONNECTION, &tune, out);
        self.stage = Stage::Tuning;
    }

    /// Does not let the client in. To be called after [`Event::Login`].
    ///
    /// Returns whether the client is told: it is if it understands (403, capability
    /// `authentication_failure_close`). If not, the socket is to be dropped, better after some
    /// seconds than at once.
    pub fn refuse_login(&mut self, text: impl Into<String>, out: &mut Vec<u8>) -> bool {
        if !self.client.authentication_failure_close {
            self.stage = Stage::Closed;
            self.timers.start_close(SILENT_CLOSE_DELAY);
            return false;
        }
        let start_ok = (connection::CLASS_ID, connection::StartOk::METHOD_ID);
        self.close(
            ConnectionException::access_refused(text).at(start_ok.0, start_ok.1),
            out,
        );
        true
    }

    /// Lets the client use the virtual host. To be called after [`Event::Open`]; a refusal is a
    /// [`Connection::close`].
    pub fn accept_open(&mut self, out: &mut Vec<u8>) {
        if self.stage != Stage::Entering {
            return;
        }
        write_method_frame(ChannelNumber::CONNECTION, &connection::OpenOk {}, out);
        self.stage = Stage::Running;
        self.timers.start_heartbeat(self.tuned.heartbeat);
    }

    /// Reads the protocol header.
    pub(super) fn protocol_header<'a>(
        &mut self,
        rest: &'a [u8],
        used: &mut usize,
        out: &mut Vec<u8>,
    ) -> Result<Step<'a>, Failure> {
        let Some(&header) = rest.first_chunk() else {
            return Ok(Step::Wanted(PROTOCOL_HEADER.len()));
        };
        if header == PROTOCOL_HEADER || header == PROTOCOL_HEADER_0_9 {
            *used += header.len();
            self.start(out);
            return Ok(Step::Read);
        }
        *used += rest.len();
        self.stage = Stage::Closed;
        out.extend_from_slice(&PROTOCOL_HEADER);
        Err(stranger(header).into())
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: Arc::clone(&self.offer.server_properties),
            mechanisms: Bytes::copy_from_slice(self.offer.mechanisms.as_bytes()),
            locales: Bytes::from_static(b"en_US"),
        };
        out.reserve(START_BYTES);
        write_method_frame(ChannelNumber::CONNECTION, &start, out);
        self.stage = Stage::Starting;
    }

    /// Takes a frame before the connection is open.
    pub(super) fn handshake(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Event<'static>>, Failure> {
        if frame.channel != ChannelNumber::CONNECTION {
            return Err(self.unexpected_frame(frame, out));
        }
        let Some(method) = self.method_of_connection(frame, out)? else {
            return Ok(None);
        };
        match (self.stage, method) {
            (Stage::Starting, connection::Method::StartOk(start_ok)) => {
                self.start_ok(start_ok, out).map(Some)
            }
            (Stage::Tuning, connection::Method::TuneOk(tune_ok)) => {
                let tuned = negotiate(&tune_ok, self.offer.frame_max(), self.offer.channel_max)
                    .map_err(|exception| self.fail(exception, out))?;
                self.tune(tuned);
                self.stage = Stage::Opening;
                Ok(None)
            }
            (Stage::Opening, connection::Method::Open(open)) => {
                self.stage = Stage::Entering;
                Ok(Some(Event::Open {
                    vhost: open.virtual_host,
                }))
            }
            (_, connection::Method::Close(close)) => Ok(Some(self.closed_by_peer(close, out))),
            (_, method) => Err(self.unexpected_method(&method.into(), out)),
        }
    }

    /// Decodes a frame on channel 0. `None` is a heartbeat.
    pub(super) fn method_of_connection(
        &mut self,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<connection::Method>, Failure> {
        if frame.kind == HEARTBEAT && frame.payload.is_empty() {
            return Ok(None);
        }
        if frame.kind != METHOD || !is_known(frame) {
            return Err(self.unexpected_frame(frame, out));
        }
        match Method::decode(frame.payload) {
            Ok(Method::Connection(method)) => Ok(Some(method)),
            Ok(method) => Err(self.unexpected_method(&method, out)),
            Err(error) => Err(self.undecodable(frame.payload, error, out)),
        }
    }

    fn start_ok(
        &mut self,
        start_ok: connection::StartOk,
        out: &mut Vec<u8>,
    ) -> Result<Event<'static>, Failure> {
        let connection::StartOk {
            client_properties,
            mechanism,
            response,
            locale,
        } = start_ok;
        self.client = ClientProperties::new(client_properties);
        if !self
            .offer
            .mechanisms
            .split(' ')
            .any(|offered| offered == mechanism.as_str())
        {
            let text = format!("unknown authentication mechanism '{mechanism}'");
            let exception = ConnectionException::command_invalid(text);
            return Err(self.fail(
                exception.at(connection::CLASS_ID, connection::StartOk::METHOD_ID),
                out,
            ));
        }
        self.stage = Stage::Securing;
        Ok(Event::Login {
            mechanism,
            response,
            locale,
        })
    }
}

/// Names what does not speak AMQP 0-9-1.
fn stranger(header: [u8; 8]) -> DropReason {
    match header {
        [b'G', b'E', b'T', b' ', ..] => DropReason::Http,
        [0x16, 0x03, ..] => DropReason::Tls,
        _ => DropReason::ProtocolHeader(header),
    }
}

/// Takes the client's limits, none of which may be above ours. 0 means no limit, so it is above
/// every limit.
fn negotiate(
    tune_ok: &connection::TuneOk,
    frame_max: u32,
    channel_max: u16,
) -> Result<Tuned, ConnectionException> {
    let refuse = |field, value: u32, relation, limit: u32| {
        let text = format!("negotiated {field} = {value} is {relation} allowed value ({limit})");
        let exception = ConnectionException::not_allowed(text);
        Err(exception.at(connection::CLASS_ID, connection::TuneOk::METHOD_ID))
    };
    if tune_ok.frame_max != 0 && tune_ok.frame_max < FRAME_MAX_FLOOR {
        return refuse(
            "frame_max",
            tune_ok.frame_max,
            "lower than the minimum",
            FRAME_MAX_FLOOR,
        );
    }
    if tune_ok.frame_max == 0 || tune_ok.frame_max > frame_max {
        return refuse(
            "frame_max",
            tune_ok.frame_max,
            "higher than the maximum",
            frame_max,
        );
    }
    if channel_max != 0 && (tune_ok.channel_max == 0 || tune_ok.channel_max > channel_max) {
        return refuse(
            "channel_max",
            tune_ok.channel_max.into(),
            "higher than the maximum",
            channel_max.into(),
        );
    }
    Ok(Tuned {
        frame_max: tune_ok.frame_max,
        channel_max: tune_ok.channel_max,
        heartbeat: Duration::from_secs(tune_ok.heartbeat.into()),
    })
}
