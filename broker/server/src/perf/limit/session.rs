//! A client's connection to the limit server.

use std::io::{self, ErrorKind, Read, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail, ensure};

use super::publish::Next;
use super::registry::{Consumer, Peer, Registry};
use super::router::Router;
use crate::perf::amqp::call::{Call, Table, Value};
use crate::perf::amqp::client::readable;
use crate::perf::amqp::frame::Frame;
use crate::perf::amqp::inbox::Inbox;
use crate::perf::amqp::method::{MethodId, basic, channel, confirm, connection, exchange, queue};

const FRAME_MAX: u32 = 128 * 1024;
/// The most that waits for one sync of the log.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Serves a client until it leaves.
pub(super) fn serve(stream: TcpStream, registry: &Arc<Registry>) {
    let peer = Arc::new(Peer::new(stream));
    let mut session = Session {
        peer: Arc::clone(&peer),
        registry,
        router: Router::new(registry),
        confirms: Vec::new(),
        unfinished: 0,
        open: true,
    };
    // A client that leaves without a word is no error. Its connection may also end because of the log, which it cannot be told.
    if let Err(error) = session.run()
        && !has_left(&error)
    {
        // That nobody can see it is no reason to stop serving.
        let _ = writeln!(io::stderr(), "a connection ends: {error:#}");
    }
    registry.remove_consumers(|consumer| Arc::ptr_eq(&consumer.peer, &peer));
    let _ = peer.stream().shutdown(std::net::Shutdown::Both);
}

/// Whether the client has closed its socket, or died.
fn has_left(error: &Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(
        kind,
        Some(
            ErrorKind::UnexpectedEof
                | ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
        )
    )
}

#[derive(Debug)]
struct Session<'a> {
    peer: Arc<Peer>,
    registry: &'a Registry,
    router: Router<'a>,
    confirms: Vec<Confirming>,
    /// Bytes of publishes that are not delivered and confirmed yet.
    unfinished: usize,
    open: bool,
}

/// A channel in confirm mode.
#[derive(Debug)]
struct Confirming {
    channel: u16,
    published: u64,
    confirmed: u64,
}

impl Session<'_> {
    fn run(&mut self) -> Result<()> {
        self.peer.stream().set_nodelay(true)?;
        let peer = Arc::clone(&self.peer);
        let mut stream = peer.stream();
        let mut header = [0; 8];
        stream.read_exact(&mut header)?;
        ensure!(&header == b"AMQP\x00\x00\x09\x01", "not AMQP 0-9-1");
        self.send(start())?;
        let mut inbox = Inbox::new();
        while self.open && inbox.fill(&mut stream)? {
            self.router.refresh();
            let used = self.take(inbox.bytes())?;
            self.store(&inbox.bytes()[..used])?;
            inbox.consume(used);
            if !self.is_gathering()? {
                self.finish()?;
            }
        }
        Ok(())
    }

    /// Writes to the log what one read brought, unless that was no publish.
    fn store(&self, bytes: &[u8]) -> Result<()> {
        if let Some(log) = self.registry.log.as_ref().filter(|_| self.unfinished > 0) {
            log.append(bytes).context("cannot write to the log")?;
        }
        Ok(())
    }

    /// Whether to read more before the next sync, as it costs the same for all that has arrived.
    fn is_gathering(&self) -> Result<bool> {
        let worthwhile =
            self.registry.log.is_some() && (1..GROUP_BYTES_MAX).contains(&self.unfinished);
        Ok(worthwhile && readable(self.peer.stream(), Duration::ZERO)?)
    }

    /// Delivers and confirms what was taken, after a sync if there is a log.
    fn finish(&mut self) -> Result<()> {
        if let Some(log) = self.registry.log.as_ref().filter(|_| self.unfinished > 0) {
            log.sync().context("cannot sync the log")?;
        }
        self.unfinished = 0;
        self.router.flush();
        self.confirm()
    }

    /// Handles what is there as a whole; returns how many bytes that is.
    fn take(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        loop {
            match Next::of(&bytes[at..]) {
                Next::Publish(publish) => {
                    self.router.publish(&publish);
                    self.count(publish.channel);
                    at += publish.length;
                    self.unfinished += publish.length;
                }
                Next::Cut => return Ok(at),
                Next::Other => {
                    let Some((frame, length)) = Frame::split(&bytes[at..])? else {
                        return Ok(at);
                    };
                    if let Some(method) = frame.method() {
                        self.method(method, &frame)?;
                    }
                    at += length;
                }
            }
        }
    }

    fn count(&mut self, channel: u16) {
        if let Some(confirming) = self
            .confirms
            .iter_mut()
            .find(|confirming| confirming.channel == channel)
        {
            confirming.published += 1;
        }
    }

    fn confirm(&mut self) -> Result<()> {
        for confirming in self
            .confirms
            .iter_mut()
            .filter(|confirming| confirming.published > confirming.confirmed)
        {
            confirming.confirmed = confirming.published;
            let ack = Call::new(confirming.channel, basic::ACK)
                .longlong(confirming.confirmed)
                .octet(1);
            self.peer.write(&ack.finish())?;
        }
        Ok(())
    }

    /// Agrees to everything.
    fn method(&mut self, method: MethodId, frame: &Frame<'_>) -> Result<()> {
        // Publishes before this one in the batch must not see its effect.
        self.router.flush();
        let result = self.handle(method, frame);
        self.router.refresh();
        result
    }

    fn handle(&mut self, method: MethodId, frame: &Frame<'_>) -> Result<()> {
        let answer = |method| Call::new(frame.channel, method);
        match method {
            connection::START_OK => self.send(
                answer(connection::TUNE)
                    .short(2047)
                    .long(FRAME_MAX)
                    .short(0),
            ),
            connection::TUNE_OK | basic::ACK | basic::NACK | basic::REJECT | channel::CLOSE_OK => {
                Ok(())
            }
            connection::OPEN => self.send(answer(connection::OPEN_OK).name("")),
            connection::CLOSE => {
                self.open = false;
                self.send(answer(connection::CLOSE_OK))
            }
            channel::OPEN => self.send(answer(channel::OPEN_OK).bytes(b"")),
            channel::CLOSE => {
                self.confirms
                    .retain(|confirming| confirming.channel != frame.channel);
                self.registry.remove_consumers(|consumer| {
                    consumer.channel == frame.channel && Arc::ptr_eq(&consumer.peer, &self.peer)
                });
                self.send(answer(channel::CLOSE_OK))
            }
            confirm::SELECT => {
                self.confirms.push(Confirming {
                    channel: frame.channel,
                    published: 0,
                    confirmed: 0,
                });
                self.send(answer(confirm::SELECT_OK))
            }
            basic::QOS => self.send(answer(basic::QOS_OK)),
            (40, _) => self.exchange(method, frame),
            (50, _) => self.queue(method, frame),
            basic::CONSUME => self.consume(frame),
            basic::CANCEL => self.cancel(frame),
            (class, method) => bail!("the limit server has no method {class}.{method}"),
        }
    }

    fn exchange(&self, method: MethodId, frame: &Frame<'_>) -> Result<()> {
        let mut arguments = frame.arguments();
        arguments.short();
        let name = arguments.name().unwrap_or_default();
        let (answer, no_wait) = match method {
            exchange::DECLARE => {
                self.registry
                    .declare_exchange(name, arguments.name().unwrap_or_default());
                (exchange::DECLARE_OK, 1 << 4)
            }
            exchange::DELETE => {
                self.registry.delete_exchange(name);
                (exchange::DELETE_OK, 1 << 1)
            }
            (class, method) => bail!("the limit server has no method {class}.{method}"),
        };
        let waits = arguments.octet().unwrap_or_default() & no_wait == 0;
        self.send_if(waits, Call::new(frame.channel, answer))
    }

    fn queue(&self, method: MethodId, frame: &Frame<'_>) -> Result<()> {
        let mut arguments = frame.arguments();
        arguments.short();
        let name = arguments.name().unwrap_or_default();
        let call = |answer| Call::new(frame.channel, answer);
        let (answer, no_wait) = match method {
            queue::DECLARE => {
                let dropped = self.registry.declare_queue(name).dropped.load(Relaxed);
                let ready = u32::try_from(dropped).unwrap_or(u32::MAX);
                (
                    call(queue::DECLARE_OK).name(name).long(ready).long(0),
                    1 << 4,
                )
            }
            queue::BIND => {
                let exchange = arguments.name().unwrap_or_default();
                self.registry
                    .bind(name, exchange, arguments.name().unwrap_or_default());
                (call(queue::BIND_OK), 1)
            }
            queue::DELETE => {
                self.registry.delete_queue(name);
                (call(queue::DELETE_OK).long(0), 1 << 2)
            }
            (class, method) => bail!("the limit server has no method {class}.{method}"),
        };
        let waits = arguments.octet().unwrap_or_default() & no_wait == 0;
        self.send_if(waits, answer)
    }

    fn consume(&self, frame: &Frame<'_>) -> Result<()> {
        let mut arguments = frame.arguments();
        arguments.short();
        let name = arguments.name().unwrap_or_default();
        let tag = arguments.name().unwrap_or_default();
        let waits = arguments.octet().unwrap_or_default() & 1 << 3 == 0;
        let consumer = Consumer {
            peer: Arc::clone(&self.peer),
            channel: frame.channel,
            tag: tag.to_owned(),
        };
        let answer = if waits {
            Call::new(frame.channel, basic::CONSUME_OK)
                .name(tag)
                .finish()
        } else {
            Vec::new()
        };
        // Who has read the answer may publish at once, and the answer comes before the first delivery.
        self.peer
            .write_when(&answer, || self.registry.consume(name, consumer))?;
        Ok(())
    }

    fn cancel(&self, frame: &Frame<'_>) -> Result<()> {
        let mut arguments = frame.arguments();
        let tag = arguments.name().unwrap_or_default();
        let own = |consumer: &Consumer| {
            consumer.channel == frame.channel && Arc::ptr_eq(&consumer.peer, &self.peer)
        };
        self.registry
            .remove_consumers(|consumer| consumer.tag == tag && own(consumer));
        self.send(Call::new(frame.channel, basic::CANCEL_OK).name(tag))
    }

    fn send_if(&self, waits: bool, call: Call) -> Result<()> {
        if waits { self.send(call) } else { Ok(()) }
    }

    fn send(&self, call: Call) -> Result<()> {
        Ok(self.peer.write(&call.finish())?)
    }
}

fn start() -> Call {
    let capabilities = vec![("publisher_confirms".to_owned(), Value::Bool(true))];
    let properties: Table = vec![
        ("product".to_owned(), Value::Text("frame limit".to_owned())),
        (
            "version".to_owned(),
            Value::Text(env!("CARGO_PKG_VERSION").to_owned()),
        ),
        ("capabilities".to_owned(), Value::Table(capabilities)),
    ];
    Call::new(0, connection::START)
        .octet(0)
        .octet(9)
        .table(&properties)
        .bytes(b"PLAIN")
        .bytes(b"en_US")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_is_no_error_and_a_full_disk_is() {
        let of = |kind: ErrorKind| Error::from(io::Error::from(kind));
        assert!(has_left(&of(ErrorKind::ConnectionReset)));
        assert!(has_left(
            &of(ErrorKind::UnexpectedEof).context("in a frame")
        ));
        assert!(!has_left(
            &of(ErrorKind::StorageFull).context("cannot write to the log")
        ));
        assert!(!has_left(&anyhow::anyhow!("not AMQP 0-9-1")));
    }
}
