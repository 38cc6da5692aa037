//! Deadlines: the handshake's, the heartbeats', and the one for the last words.
//!
//! No other part of a connection knows the time. A timer whose start the conversation decides is
//! therefore *due at once*, and begins to run when it is first asked.

use std::time::{Duration, Instant};

use super::event::DropReason;
use crate::limits::SILENT_INTERVALS_MAX;
use crate::wire::frame::write_heartbeat;

/// Everything that waits for a point in time. At most one of the three kinds is in force.
#[derive(Debug)]
pub(super) struct Timers {
    /// When the time was last heard of.
    now: Instant,
    running: Running,
}

#[derive(Debug)]
enum Running {
    /// The handshake must be over by then.
    Handshake(Instant),
    /// To begin when the time is next heard of.
    HeartbeatDue(Duration),
    Heartbeat(Heartbeat),
    /// To begin when the time is next heard of.
    CloseDue(Duration),
    Close(Instant),
    Nothing,
}

#[derive(Debug)]
struct Heartbeat {
    interval: Duration,
    send_check: Instant,
    receive_check: Instant,
    /// Since the last check.
    sent: bool,
    received: bool,
    silent_intervals: u32,
}

impl Timers {
    pub(super) fn for_handshake(now: Instant, timeout: Duration) -> Self {
        Self {
            now,
            running: Running::Handshake(now + timeout),
        }
    }

    /// The handshake is over. An interval of zero means no heartbeats.
    pub(super) fn start_heartbeat(&mut self, interval: Duration) {
        self.running = if interval.is_zero() {
            Running::Nothing
        } else {
            Running::HeartbeatDue(interval)
        };
    }

    /// The last words are said, and the peer has this long to say its own.
    pub(super) fn start_close(&mut self, timeout: Duration) {
        self.running = Running::CloseDue(timeout);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.running {
            Running::Handshake(deadline) | Running::Close(deadline) => Some(*deadline),
            Running::HeartbeatDue(_) | Running::CloseDue(_) => Some(self.now),
            Running::Heartbeat(heartbeat) => {
                Some(heartbeat.send_check.min(heartbeat.receive_check))
            }
            Running::Nothing => None,
        }
    }

    pub(super) fn tick(
        &mut self,
        now: Instant,
        received: bool,
        sent: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), DropReason> {
        self.now = now;
        match &mut self.running {
            Running::Handshake(deadline) if now >= *deadline => Err(DropReason::HandshakeTimeout),
            Running::Close(deadline) if now >= *deadline => Err(DropReason::CloseTimeout),
            Running::HeartbeatDue(interval) => {
                self.running = Running::Heartbeat(Heartbeat::new(now, *interval));
                Ok(())
            }
            Running::CloseDue(timeout) => {
                self.running = Running::Close(now + *timeout);
                Ok(())
            }
            Running::Heartbeat(heartbeat) => heartbeat.tick(now, received, sent, out),
            Running::Handshake(_) | Running::Close(_) | Running::Nothing => Ok(()),
        }
    }
}

impl Heartbeat {
    fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            send_check: now + interval / 2,
            receive_check: now + interval,
            sent: false,
            received: false,
            silent_intervals: 0,
        }
    }

    fn tick(
        &mut self,
        now: Instant,
        received: bool,
        sent: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), DropReason> {
        self.received |= received;
        self.sent |= sent;
        if now >= self.receive_check {
            self.silent_intervals = if self.received {
                0
            } else {
                self.silent_intervals + 1
            };
            if self.silent_intervals >= SILENT_INTERVALS_MAX {
                return Err(DropReason::HeartbeatTimeout);
            }
            self.received = false;
            self.receive_check = now + self.interval;
        }
        if now >= self.send_check {
            if !self.sent {
                write_heartbeat(out);
            }
            self.sent = false;
            self.send_check = now + self.interval / 2;
        }
        Ok(())
    }
}
