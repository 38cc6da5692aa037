//! Lines on their way to standard error, which a thread of its own writes, many at a time if there are many.
//!
//! Who logs must not wait for whoever reads the log: a journal that is slow, or a pipe that nobody empties, would hold up all
//! connections. Lines for which there is no room are dropped, and how many is the next line that is not.

use std::fs::File;
use std::io::{self, Write};
use std::mem::take;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that may wait.
const WAITING_MAX: usize = 1 << 20;
/// After a write, lines gather for this long: to wake the thread for each would cost more than to write it.
const PAUSE: Duration = Duration::from_millis(2);
/// How long the end of the process waits for a reader of the last lines.
const LAST_LINES_TIMEOUT: Duration = Duration::from_secs(1);

/// Takes lines, one with each write.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines that found no room, or could not be written, since that was told last.
    dropped: usize,
    /// The thread waits for lines.
    idle: bool,
    /// No lines follow.
    closed: bool,
    /// The thread has written all of them.
    ended: bool,
}

impl Lines {
    /// Starts the thread.
    pub(super) fn to_stderr() -> io::Result<Self> {
        // A handle of its own: the process's is locked while it writes, and a panic would wait for that.
        let stderr = rustix::io::fcntl_dupfd_cloexec(io::stderr(), 0)?;
        Self::start(File::from(stderr))
    }

    fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self(Arc::default());
        let shared = Arc::clone(&lines.0);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_all(out))?;
        Ok(lines)
    }

    /// Lets the last lines go out. False if nobody reads them in time.
    pub(super) fn end(&self) -> bool {
        let Shared { waiting, changed } = &*self.0;
        let until = Instant::now() + LAST_LINES_TIMEOUT;
        let mut waiting = waiting.lock();
        waiting.closed = true;
        changed.notify_all();
        while !waiting.ended {
            if changed.wait_until(&mut waiting, until).timed_out() {
                return false;
            }
        }
        true
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes.len() + line.len() > WAITING_MAX {
            waiting.dropped += 1;
        } else {
            waiting.bytes.extend_from_slice(line);
            if take(&mut waiting.idle) {
                self.0.changed.notify_all();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Shared {
    /// The thread: writes until no lines follow.
    fn write_all(&self, mut out: impl Write) {
        let mut bytes = Vec::new();
        while let Some(dropped) = self.next(&mut bytes) {
            if out.write_all(&bytes).is_err() {
                self.waiting.lock().dropped += bytes.split(|&byte| byte == b'\n').count() - 1;
            } else if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "lines of the log were dropped, because standard error was read too slowly"
                );
            }
            sleep(PAUSE);
        }
    }

    /// Waits for lines, which take the place of what was in `bytes`. Returns how many were dropped after them, and nothing at the end.
    fn next(&self, bytes: &mut Vec<u8>) -> Option<usize> {
        bytes.clear();
        let mut waiting = self.waiting.lock();
        while waiting.bytes.is_empty() {
            if waiting.closed {
                waiting.ended = true;
                self.changed.notify_all();
                return None;
            }
            waiting.idle = true;
            self.changed.wait(&mut waiting);
        }
        std::mem::swap(bytes, &mut waiting.bytes);
        Some(take(&mut waiting.dropped))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};

    use super::*;

    /// Says that something is to be written, which then waits until the test takes it.
    struct Slow(Sender<()>, SyncSender<String>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.send(()).map_err(io::Error::other)?;
            self.1.send(text).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_for_which_there_is_no_room_are_counted() -> anyhow::Result<()> {
        let ((begun, is_writing), (out, written)) = (channel(), sync_channel(0));
        let lines = Lines::start(Slow(begun, out))?;
        let text = |number: usize| format!("{number:>99}\n");
        (&lines).write_all(b"first\n")?;
        is_writing.recv()?;
        let fit = WAITING_MAX / 100;
        for number in 0..fit + 3 {
            (&lines).write_all(text(number).as_bytes())?;
        }
        assert_eq!(lines.0.waiting.lock().dropped, 3);
        assert_eq!(written.recv()?, "first\n");
        let all: String = (0..fit).map(text).collect();
        assert!(written.recv()? == all, "what fits is written, in order");
        assert_eq!(lines.0.waiting.lock().dropped, 0, "it is told");
        assert!(lines.end());
        Ok(())
    }

    #[test]
    fn the_end_does_not_wait_for_who_does_not_read() -> anyhow::Result<()> {
        let ((begun, _is_writing), (out, _unread)) = (channel(), sync_channel(0));
        let lines = Lines::start(Slow(begun, out))?;
        (&lines).write_all(b"unread\n")?;
        assert!(!lines.end());
        Ok(())
    }
}
