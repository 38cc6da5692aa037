//! `amphora perf limit`: serves the frame limit.
//!
//! A server without features: it finds each publish in what one read brought, copies it into the outgoing bytes of the
//! consumers that are bound with exactly its routing key (all of them for a fanout), and writes once per read and consumer.
//! Nothing is stored, acknowledgements and prefetch are ignored, confirms come at once, and a consumer that does not
//! read stops its publishers. What it reaches is what sockets and copying allow on this machine: the yardstick for a broker.

use std::io::{self, BufRead, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use log::Log;
pub(crate) use log::Syncs;
use registry::Registry;
use rustix::io::Errno;

mod log;
mod publish;
mod registry;
mod router;
mod session;

/// How long to wait for connections to end when there is no room for more.
const BREATH: Duration = Duration::from_millis(20);

const EXAMPLES: &str = "\
Examples:
  In one terminal, and in another one a load:
    amphora perf limit --listen 127.0.0.1:5673
    amphora perf throughput --uri amqp://127.0.0.1:5673
  What the same bytes cost when a plain file is synced before each confirm:
    amphora perf limit --listen 127.0.0.1:5673 --log /var/tmp/limit.log
    amphora perf throughput --uri amqp://127.0.0.1:5673 --confirm 1000 --size 1024";

/// Serve the frame limit: a server without features, which shows what this machine's sockets allow
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Address to listen on; port 0 chooses a free one
    #[arg(long, default_value = "127.0.0.1:5673", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Append every publish to FILE and fsync it before it is delivered and confirmed; connections that wait share the next fsync
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// End when standard input does, as it does when the program at its other end is gone. Each line "syncs" that comes before is
    /// answered by a line with what --log has synced since the last one
    #[arg(long)]
    until_stdin_ends: bool,
}

/// Says where it listens, on stdout, and serves until it is ended.
///
/// # Errors
/// If the address cannot be listened on, or the log not be opened.
pub(crate) fn run(args: &Args) -> Result<()> {
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    writeln!(io::stdout(), "{LISTENING}{}", listener.local_addr()?)?;
    let log = args.log.as_deref().map(Log::open).transpose()?;
    let log = log.map(Arc::new);
    if !args.until_stdin_ends {
        return serve(&listener, log);
    }
    let (end, ended) = mpsc::channel();
    let (failed, asked) = (end.clone(), log.clone());
    thread::spawn(move || failed.send(serve(&listener, log)));
    thread::spawn(move || {
        let answered = answer(io::stdin().lock(), io::stdout(), asked.as_deref());
        end.send(answered)
    });
    ended.recv()?
}

/// The line of input that asks what was synced since it came last. [`Syncs`] is the answer, as JSON in one line.
pub(crate) const SYNCS: &str = "syncs";

/// Answers questions until `input` ends. One that cannot be read has ended, too.
fn answer(input: impl BufRead, mut output: impl Write, log: Option<&Log>) -> Result<()> {
    for line in input.split(b'\n') {
        match line {
            Ok(line) if line == SYNCS.as_bytes() => {
                let syncs = log.map(Log::take_syncs).unwrap_or_default();
                writeln!(output, "{}", serde_json::to_string(&syncs)?)?;
            }
            Ok(_) => {}
            Err(_) => break,
        }
    }
    Ok(())
}

/// What the first line of output begins with; the address follows.
pub(crate) const LISTENING: &str = "listening on ";

/// Serves every connection with a thread of its own. While there is no room for more, new ones wait.
pub(crate) fn serve(listener: &TcpListener, log: Option<Arc<Log>>) -> Result<()> {
    let registry = Arc::new(Registry::new(log));
    let mut full = false;
    for stream in listener.incoming() {
        let registry = Arc::clone(&registry);
        let started = stream.and_then(|stream| {
            thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn(move || session::serve(stream, &registry))
        });
        match started {
            Ok(_) => full = false,
            Err(error) if passes(&error) => {
                if !full {
                    // That nobody can see it is no reason to stop serving.
                    let _ = writeln!(io::stderr(), "a connection has to wait: {error}");
                }
                full = true;
                thread::sleep(BREATH);
            }
            Err(error) => return Err(error).context("cannot accept connections"),
        }
    }
    Ok(())
}

/// Whether the next connection may be accepted although this one was not: it has gone, or files, threads or memory are used up.
fn passes(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOBUFS
                | Errno::NOMEM
                | Errno::AGAIN
                | Errno::CONNABORTED
                | Errno::INTR
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_by_what_was_synced_since() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = Log::open(file.path()).unwrap();
        log.append(b"some").unwrap();
        log.sync().unwrap();
        let mut output = Vec::new();
        answer(&b"syncs\nother\nsyncs\n"[..], &mut output, Some(&log)).unwrap();
        answer(&b"syncs\n"[..], &mut output, None).unwrap();
        let found: Vec<Syncs> = output
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let [first, second, without] = found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((first.count, first.bytes), (1, 4));
        assert_eq!([second, without], [Syncs::default(); 2]);
    }
}
