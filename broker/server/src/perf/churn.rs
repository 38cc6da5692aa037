//! Connections that come and go as fast as possible.
//!
//! The load generator has the broker's processors, so it should need little of them: a thread has several connections on
//! their way at a time, and goes on with whichever was answered.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::amqp::client::{ANSWER_TIMEOUT, connect};
use super::amqp::dialogue::{Login, PROTOCOL_HEADER, Script};
use super::amqp::endpoint::Endpoint;
use super::amqp::frame::Frame;
use super::amqp::inbox::Inbox;
use super::amqp::method::connection;
use super::interrupt::Interrupt;
use super::load::outcome::{Cost, Throughput};
use super::load::threads::on_threads;
use super::measure::clock::nanoseconds;
use super::measure::histogram::{Histogram, Percentiles};
use super::measure::usage::{Meter, Usage};
use super::progress::Progress;

/// How many connections a thread has on their way where nobody says.
pub(super) const AT_ONCE: usize = 16;

/// Threads that have connections come and go where nobody says: half of the processors are left to the broker.
pub(super) fn threads() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get().div_ceil(2))
}

/// Connections with a channel each that come and go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Churn<'a> {
    pub(super) uri: &'a Endpoint,
    pub(super) pid: Option<u32>,
    pub(super) threads: usize,
    /// Connections that each thread has on their way.
    pub(super) at_once: usize,
    pub(super) length: Duration,
}

/// What was found of them.
#[derive(Debug)]
pub(super) struct Churned {
    pub(super) throughput: Throughput,
    /// Of a TCP connect, login, channel, and close.
    pub(super) latency: Option<Percentiles>,
    /// What the broker used, by its process id.
    pub(super) used: Option<Usage>,
    rss_max_kib: u64,
    pub(super) own_used: Option<Usage>,
}

impl Churn<'_> {
    /// Opens and closes them as fast as possible. Those that are on their way at the end are finished, and counted.
    ///
    /// # Errors
    /// If the broker refuses a connection or closes one, or one takes longer than 30 seconds.
    pub(super) fn run(self, interrupt: &Interrupt, progress: &mut Progress) -> Result<Churned> {
        let mut broker = Meter::start(self.pid)?;
        let mut own = Meter::start(Some(std::process::id()))?;
        let script = Script::new(self.uri);
        let addresses = self.uri.resolve()?;
        let start = Instant::now();
        let is_over = || start.elapsed() >= self.length || interrupt.has_come();
        let work = |_, churned: &AtomicU64| {
            let visits = Visits {
                addresses: &addresses,
                script: &script,
                latencies: Histogram::default(),
            };
            visits
                .run(self.at_once, is_over, churned)
                .with_context(|| format!("connections to {} come and go", self.uri))
        };
        let look = |churned| progress.count("churn", churned, None);
        let histograms = on_threads(self.threads, look, work)?;
        let elapsed = nanoseconds(start.elapsed());
        let (used, own_used) = (broker.sample()?, own.sample()?);
        let mut all = Histogram::default();
        for latencies in &histograms {
            all.merge(latencies);
        }
        let latency = all.summary();
        let count = latency.map_or(0, |latency| latency.count);
        Ok(Churned {
            throughput: Throughput::new(count, elapsed),
            latency,
            used,
            rss_max_kib: broker.rss_max_kib(),
            own_used,
        })
    }
}

impl Churned {
    /// What the broker used, each connection counted as a message.
    pub(super) fn cost(&self) -> Option<Cost> {
        let count = self.throughput.count;
        self.used
            .map(|used| Cost::new(used, self.rss_max_kib, count))
    }
}

/// The connections of a thread.
struct Visits<'a> {
    addresses: &'a [SocketAddr],
    script: &'a Script,
    /// Of those that are over.
    latencies: Histogram,
}

impl Visits<'_> {
    /// Has `at_once` on their way until it `is_over`, and waits for the last ones; counts those that came and went.
    fn run(
        mut self,
        at_once: usize,
        is_over: impl Fn() -> bool,
        churned: &AtomicU64,
    ) -> Result<Histogram> {
        let begin = |_| Visit::begin(self.addresses);
        let mut visits = (0..at_once).map(begin).collect::<Result<Vec<_>>>()?;
        while !visits.is_empty() {
            // From behind, so that one that goes moves only one that is done with in this round.
            for at in answered(&visits)?.into_iter().rev() {
                let visit = &mut visits[at];
                let trouble = visit.trouble();
                if !visit.go_on(self.script).context(trouble)? {
                    continue;
                }
                self.latencies.record(nanoseconds(visit.begun.elapsed()));
                churned.fetch_add(1, Ordering::Relaxed);
                if is_over() {
                    visits.swap_remove(at);
                } else {
                    *visit = Visit::begin(self.addresses)?;
                }
            }
        }
        Ok(self.latencies)
    }
}

/// Which of them have something to read; waits until there is one.
fn answered(visits: &[Visit]) -> Result<Vec<usize>> {
    let Some(oldest) = visits.iter().min_by_key(|visit| visit.begun) else {
        return Ok(Vec::new());
    };
    let patience = ANSWER_TIMEOUT.saturating_sub(oldest.begun.elapsed());
    ensure!(
        !patience.is_zero(),
        "no answer from the broker within {} s: {}",
        ANSWER_TIMEOUT.as_secs(),
        oldest.trouble()
    );
    let mut sockets: Vec<_> = visits
        .iter()
        .map(|visit| PollFd::from_borrowed_fd(visit.stream.as_fd(), PollFlags::IN))
        .collect();
    match poll(&mut sockets, Some(&Timespec::try_from(patience)?)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let is_answered = |&at: &usize| !sockets[at].revents().is_empty();
    Ok((0..visits.len()).filter(is_answered).collect())
}

/// A connection on its way: login, channel, close.
struct Visit {
    begun: Instant,
    stream: TcpStream,
    inbox: Inbox,
    login: Login,
}

impl Visit {
    fn begin(addresses: &[SocketAddr]) -> Result<Self> {
        let begun = Instant::now();
        let mut stream = connect(addresses)?;
        stream.set_nodelay(true)?;
        stream.write_all(PROTOCOL_HEADER)?;
        Ok(Self {
            begun,
            stream,
            inbox: Inbox::new(),
            login: Login::new(),
        })
    }

    /// What is wrong if it does not go on.
    fn trouble(&self) -> &'static str {
        self.login.trouble().unwrap_or("after connection.close")
    }

    /// Reads once and answers. True when it is over.
    fn go_on(&mut self, script: &Script) -> Result<bool> {
        ensure!(
            self.inbox.fill(&mut self.stream)?,
            "the broker closed the socket without a word"
        );
        let mut words = Vec::new();
        while let Some((frame, length)) = Frame::split(self.inbox.bytes())? {
            frame.refuse_closing()?;
            let method = frame.method();
            match self.login.awaits() {
                Some(awaited) if method == Some(awaited) => {
                    self.login.go_on(script, &frame.payload[4..], &mut words)?;
                    if self.login.awaits().is_none() {
                        words.extend_from_slice(script.close());
                    }
                }
                None if method == Some(connection::CLOSE_OK) => return Ok(true),
                // A notice.
                _ => {}
            }
            self.inbox.consume(length);
        }
        self.stream.write_all(&words)?;
        Ok(false)
    }
}
