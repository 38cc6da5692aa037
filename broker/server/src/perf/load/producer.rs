//! A connection that publishes.

use std::time::Duration;

use anyhow::{Result, bail};

use super::gauge::{Gauge, REACTION};
use super::image::Image;
use super::pace::Pace;
use super::window::{Confirm, Confirmed, Window};
use crate::perf::amqp::client::Client;
use crate::perf::amqp::frame::Frame;
use crate::perf::amqp::method::{basic, connection};
use crate::perf::measure::clock::nanoseconds;

/// How long a broker may stop reading after the end of the load before the run is given up.
const STALL_MAX: Duration = Duration::from_secs(30);

/// A publishing thread's state.
#[derive(Debug)]
pub(crate) struct Producer<'a> {
    pub(crate) link: Link<'a>,
    pub(crate) image: Image,
    /// Without one it publishes as fast as it can.
    pub(crate) pace: Option<Pace>,
    /// How many messages to publish; with a pace, those that are due until the end of the load.
    pub(crate) quota: u64,
    /// Whether each message carries the time when it was due.
    pub(crate) stamped: bool,
}

/// What a producer has done.
#[derive(Debug)]
pub(crate) struct Produced {
    pub(crate) published: u64,
    /// With a pace, what became of it.
    pub(crate) timetable: Option<Timetable>,
    /// When the broker had handled all of it.
    pub(crate) finished_at: u64,
    pub(crate) confirmed: Option<Confirmed>,
}

/// How well a producer kept its timetable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timetable {
    /// Due, but never published, as the load was given up before.
    pub(crate) unsent: u64,
    /// The longest that a message waited from when it was due until it was published.
    pub(crate) late_max_ns: u64,
}

impl Producer<'_> {
    /// Publishes until the quota is reached or the gauge says stop; returns when the broker has handled everything.
    ///
    /// # Errors
    /// If the broker closes the connection or stops reading for good.
    pub(crate) fn run(mut self) -> Result<Produced> {
        let gauge = self.link.gauge;
        let origin = gauge.clock.now();
        let counted_from = gauge.counted_from();
        if let Some(window) = &mut self.link.window {
            window.count_from(counted_from);
        }
        let mut sent = 0;
        let mut late_max = 0;
        while sent < self.quota(origin) && !gauge.publishing_stopped() {
            let now = gauge.clock.now();
            let due = self
                .pace
                .map_or(u64::MAX, |pace| pace.due(now - origin))
                .min(self.quota(origin))
                .saturating_sub(sent);
            let room = self.link.window.as_ref().map_or(u64::MAX, Window::room);
            if room == 0 {
                self.link.receive()?;
            } else if due == 0 {
                let next = self.pace.map_or(now, |pace| origin + pace.time_of(sent));
                let wait = Duration::from_nanos(next.saturating_sub(now));
                self.link.pause(wait.min(REACTION))?;
            } else {
                let due_at = self.pace.map_or(now, |pace| origin + pace.time_of(sent));
                // Those due before the count begins come together with some that were due after it.
                late_max = late_max.max(now.saturating_sub(due_at.max(counted_from)));
                sent += self.publish(due.min(room), sent, origin, now)?;
            }
        }
        let timetable = self.pace.map(|_| Timetable {
            unsent: self.quota(origin).saturating_sub(sent),
            late_max_ns: late_max,
        });
        self.link.finish(sent, timetable)
    }

    /// How many messages to publish, now that the end may have come before its time.
    fn quota(&self, origin: u64) -> u64 {
        let cut = self.pace.zip(self.link.gauge.cut_at());
        cut.map_or(self.quota, |(pace, at)| {
            pace.due(at.saturating_sub(origin)).min(self.quota)
        })
    }

    /// Publishes up to `wanted` messages in one write and returns how many it were.
    fn publish(&mut self, wanted: u64, sent: u64, origin: u64, now: u64) -> Result<u64> {
        let range = self.image.next(wanted);
        let count = range.len() / self.image.message_length();
        if self.stamped {
            let mut number = sent;
            let time = || {
                let time = self.pace.map_or(now, |pace| origin + pace.time_of(number));
                number += 1;
                time
            };
            self.image.stamp(range.clone(), time);
        }
        if let Some(window) = &mut self.link.window {
            match self.pace {
                // What waits for room in the window is late, too.
                Some(pace) => (sent..)
                    .take(count)
                    .for_each(|number| window.sent(1, origin + pace.time_of(number))),
                None => window.sent(count, now),
            }
        }
        self.link.write(self.image.bytes(range))?;
        if self.link.window.as_ref().is_some_and(|w| w.room() > 0) {
            // More can be sent at once, but what has been confirmed meanwhile must not wait until it is read.
            self.link.pause(Duration::ZERO)?;
        } else {
            self.link.look(now)?;
        }
        self.link.gauge.add_published(count as u64);
        Ok(count as u64)
    }
}

/// A producer's connection and what it hears from there.
#[derive(Debug)]
pub(crate) struct Link<'a> {
    client: Client,
    gauge: &'a Gauge,
    window: Option<Window>,
    /// The reason that the broker gave for blocking this connection.
    blocked: Option<String>,
    looked_at: u64,
}

impl<'a> Link<'a> {
    /// Takes a connection whose channel is in confirm mode if there is a `window`.
    pub(crate) fn new(
        mut client: Client,
        gauge: &'a Gauge,
        window: Option<Window>,
    ) -> Result<Self> {
        client.time_out_after(REACTION)?;
        Ok(Self {
            client,
            gauge,
            window,
            blocked: None,
            looked_at: 0,
        })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        let mut stalled = Duration::ZERO;
        while !rest.is_empty() {
            let count = self.client.send(rest)?;
            rest = &rest[count..];
            stalled = if count == 0 && self.gauge.publishing_stopped() {
                stalled + REACTION
            } else {
                Duration::ZERO
            };
            if count == 0 && self.client.readable(Duration::ZERO)? {
                self.receive()?;
            }
            if stalled > STALL_MAX {
                let reason = self.blocked.as_deref().unwrap_or("it gave no reason");
                bail!(
                    "the broker has not read from a producer for {} s: {reason}",
                    STALL_MAX.as_secs()
                );
            }
        }
        Ok(())
    }

    /// Without confirms nothing is read in the normal case; so look now and then whether the broker has something to say.
    fn look(&mut self, now: u64) -> Result<()> {
        if now - self.looked_at > nanoseconds(REACTION) {
            self.looked_at = now;
            self.pause(Duration::ZERO)?;
        }
        Ok(())
    }

    /// Waits, and takes what comes meanwhile.
    fn pause(&mut self, length: Duration) -> Result<()> {
        if self.client.readable(length)? {
            self.receive()?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<()> {
        let Self {
            client,
            gauge,
            window,
            blocked,
            ..
        } = self;
        client.receive(|bytes| {
            let now = gauge.clock.now();
            let mut used = 0;
            while let Some((frame, length)) = Frame::split(&bytes[used..])? {
                used += length;
                match (frame.method(), &mut *window) {
                    (Some(basic::ACK | basic::NACK), Some(window)) => {
                        window.confirm(confirm(&frame), now)?;
                    }
                    (Some(connection::BLOCKED), _) => {
                        *blocked = frame.arguments().name().map(str::to_owned);
                    }
                    (Some(connection::UNBLOCKED), _) => *blocked = None,
                    _ => frame.refuse_closing()?,
                }
            }
            Ok(used)
        })
    }

    fn finish(mut self, published: u64, timetable: Option<Timetable>) -> Result<Produced> {
        let mut patience = STALL_MAX;
        while let Some(window) = self
            .window
            .as_ref()
            .filter(|window| !window.is_empty() && !patience.is_zero())
        {
            let before = window.room();
            self.receive()?;
            let progress = self
                .window
                .as_ref()
                .is_some_and(|window| window.room() > before);
            patience = if progress {
                STALL_MAX
            } else {
                patience.saturating_sub(REACTION)
            };
        }
        self.client.close_channel()?;
        let finished_at = self.gauge.clock.now();
        self.client.close()?;
        Ok(Produced {
            published,
            timetable,
            finished_at,
            confirmed: self.window.map(Window::finish),
        })
    }
}

fn confirm(frame: &Frame) -> Confirm {
    let mut arguments = frame.arguments();
    let tag = arguments.longlong().unwrap_or_default();
    let multiple = arguments.octet().unwrap_or_default() & 1 == 1;
    Confirm {
        tag,
        multiple,
        positive: frame.method() == Some(basic::ACK),
    }
}
