//! The brokers to compare, the limit server among them.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result};

use crate::perf::amqp::endpoint::Endpoint;
use crate::perf::limit::{LISTENING, SYNCS, Syncs};

/// What the frame limit is called.
pub(super) const LIMIT: &str = "limit";
/// What the frame limit with a file is called.
pub(super) const SYNCED_LIMIT: &str = "limit+fsync";

/// A broker that runs already.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    pub(super) name: String,
    pub(super) uri: Endpoint,
    pub(super) pid: Option<u32>,
    pub(super) kind: Kind,
}

/// What a broker is to the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Broker,
    /// The frame limit.
    Limit,
    /// The frame limit with a plain file that is synced before each confirm.
    SyncedLimit,
}

impl FromStr for Broker {
    type Err = anyhow::Error;

    /// Parses `name=uri` with an optional `,pid=N`.
    fn from_str(text: &str) -> Result<Self> {
        let (name, rest) = text
            .split_once('=')
            .context("a broker is NAME=URI or NAME=URI,pid=N")?;
        let (uri, pid) = rest
            .split_once(",pid=")
            .map_or((rest, None), |(uri, pid)| (uri, Some(pid)));
        let pid = pid
            .map(|pid| {
                pid.parse()
                    .with_context(|| format!("{pid:?} is not a process id"))
            })
            .transpose()?;
        Ok(Self {
            name: name.to_owned(),
            uri: uri.parse()?,
            pid,
            kind: Kind::Broker,
        })
    }
}

/// The limit server as a child process, so that its CPU time is its own. It ends with this value.
#[derive(Debug)]
pub(super) struct LimitServer {
    child: Child,
    /// Whatever ends this process closes it, which ends the server.
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    uri: Endpoint,
    kind: Kind,
}

impl LimitServer {
    /// Starts this program's own `perf limit`, with `log` as its file if there is one.
    pub(super) fn start(log: Option<&Path>) -> Result<Self> {
        let program =
            env::current_exe().context("cannot find this program to start the limit server")?;
        let mut command = Command::new(program);
        command.args([
            "perf",
            "limit",
            "--listen",
            "127.0.0.1:0",
            "--until-stdin-ends",
        ]);
        if let Some(log) = log {
            command.arg("--log").arg(log);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // A terminal's Ctrl+C is for this process, which still needs the server for what is outstanding.
        command.process_group(0);
        let mut child = command.spawn().context("cannot start the limit server")?;
        let mut server = Self {
            stdin: child
                .stdin
                .take()
                .context("the limit server has no input")?,
            stdout: BufReader::new(
                child
                    .stdout
                    .take()
                    .context("the limit server has no output")?,
            ),
            child,
            uri: "amqp://".parse()?,
            kind: if log.is_some() {
                Kind::SyncedLimit
            } else {
                Kind::Limit
            },
        };
        let line = server.read_line()?;
        let address = line
            .trim()
            .strip_prefix(LISTENING)
            .context("the limit server did not start")?;
        server.uri = format!("amqp://{address}").parse()?;
        Ok(server)
    }

    /// What its log has synced since this was asked last.
    pub(super) fn syncs(&mut self) -> Result<Syncs> {
        let asked = writeln!(self.stdin, "{SYNCS}");
        asked.context("the limit server cannot be asked for its syncs")?;
        serde_json::from_str(&self.read_line()?).context("the limit server does not tell its syncs")
    }

    fn read_line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line)
    }

    /// How to reach and measure it.
    pub(super) fn broker(&self) -> Broker {
        let name = if self.kind == Kind::SyncedLimit {
            SYNCED_LIMIT
        } else {
            LIMIT
        };
        Broker {
            name: name.to_owned(),
            uri: self.uri.clone(),
            pid: Some(self.child.id()),
            kind: self.kind,
        }
    }
}

impl Drop for LimitServer {
    fn drop(&mut self) {
        // It may have ended already; there is nothing more to do about it then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_has_a_name_a_uri_and_perhaps_a_process() {
        let broker: Broker = "a=amqp://u:p=w@h:1/v,pid=7".parse().unwrap();
        assert_eq!(
            (
                broker.name.as_str(),
                broker.uri.password.as_str(),
                broker.pid
            ),
            ("a", "p=w", Some(7))
        );
        assert_eq!("a=amqp://h".parse::<Broker>().unwrap().pid, None);
        for wrong in ["amqp://h", "a=h", "a=amqp://h,pid=x"] {
            assert!(wrong.parse::<Broker>().is_err(), "{wrong}");
        }
    }
}
