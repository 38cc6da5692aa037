//! What a peer is told that sends frames or methods which have no meaning where they are.

use super::event::Failure;
use super::octets::{Numbers, Snippet};
use super::{Connection, Stage, Step};
use crate::exception::ConnectionException;
use crate::limits::SILENT_CLOSE_DELAY;
use crate::wire::WireError;
use crate::wire::frame::{self, BODY, CONTENT_HEADER_LEN, Frame, HEADER, HEARTBEAT, METHOD, Split};
use crate::wire::method::Method;

/// Whether it is a frame of a channel: of such a type, and with the octets that every frame of that
/// type has.
pub(super) fn is_known(frame: Frame<'_>) -> bool {
    match frame.kind {
        METHOD => frame.payload.len() >= 4,
        HEADER => frame.payload.len() >= CONTENT_HEADER_LEN,
        BODY => true,
        _ => false,
    }
}

impl Connection {
    /// Refuses a frame that can have no meaning where it is: 505, or 501 if it has none anywhere.
    pub(super) fn unexpected_frame(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) -> Failure {
        let snippet = format!("type {}, {}", frame.kind, Snippet(frame.payload));
        let is_heartbeat = frame.kind == HEARTBEAT && frame.payload.is_empty();
        let exception = if is_heartbeat || is_known(frame) {
            ConnectionException::unexpected_frame(snippet)
        } else {
            ConnectionException::frame_error(format!("{snippet}: unknown_frame"))
        };
        self.fail(exception, out)
    }

    /// Refuses a method on channel 0 that is not due.
    pub(super) fn unexpected_method(&mut self, method: &Method, out: &mut Vec<u8>) -> Failure {
        let text = format!(
            "unexpected method in connection state {}",
            self.stage.name()
        );
        let exception = ConnectionException::channel_error(text);
        self.fail(exception.at(method.class_id(), method.method_id()), out)
    }

    /// Refuses the payload of a method frame that is no method: 540 for numbers that are not known,
    /// 501 for arguments that are wrong.
    pub(super) fn undecodable(
        &mut self,
        payload: &[u8],
        error: WireError,
        out: &mut Vec<u8>,
    ) -> Failure {
        let (class_id, method_id, arguments) = match *payload {
            [c0, c1, m0, m1, ref arguments @ ..] => (
                u16::from_be_bytes([c0, c1]),
                u16::from_be_bytes([m0, m1]),
                arguments,
            ),
            _ => (0, 0, payload),
        };
        let exception = match error {
            WireError::UnknownClass(_) | WireError::UnknownMethod { .. } => {
                ConnectionException::not_implemented(error.to_string())
            }
            WireError::Truncated | WireError::Trailing(_) => {
                ConnectionException::frame_error(format!("cannot decode {}", Numbers(arguments)))
            }
            WireError::UnknownFieldType(_) | WireError::MalformedUtf8 | WireError::TooDeep => {
                ConnectionException::frame_error(error.to_string())
            }
        };
        self.fail(exception.at(class_id, method_id), out)
    }

    /// Gives up on input in which no frame can be found any more. The peer is told why, but nothing
    /// that it says is heard.
    pub(super) fn lose_sync<'a>(
        &mut self,
        lost: &Split<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Step<'a>, Failure> {
        let (kind, payload, problem) = match *lost {
            Split::TooLarge { kind, size } => {
                let allowed = self.tuned.frame_max as usize - frame::OVERHEAD;
                (
                    kind,
                    &[][..],
                    format!("{{frame_too_large,{size},{allowed}}}"),
                )
            }
            Split::BadEnd { frame, end } => (
                frame.kind,
                frame.payload,
                format!("{{invalid_frame_end_marker,{end}}}"),
            ),
            Split::Whole(_) | Split::Wanted(_) => return Ok(Step::Read),
        };
        let was_closing = self.stage == Stage::Closing;
        let text = format!("type {kind}, {}: {problem}", Snippet(payload));
        let failure = self.fail(ConnectionException::frame_error(text), out);
        self.stage = Stage::Closed;
        self.timers.start_close(SILENT_CLOSE_DELAY);
        if was_closing {
            Ok(Step::Read)
        } else {
            Err(failure)
        }
    }
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Header => "handshake",
            Self::Starting => "starting",
            Self::Securing => "securing",
            Self::Tuning => "tuning",
            Self::Opening | Self::Entering => "opening",
            Self::Running => "running",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}
