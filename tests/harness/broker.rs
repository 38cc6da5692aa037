//! A broker in a process of its own, on the loopback interface, with a data directory of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::client::{Client, Login};
use crate::log::Log;

/// Any free port of the loopback interface: the broker says which one it is.
const ANYWHERE: &str = "127.0.0.1:0";

/// What is special about a broker.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Its configuration file, without listeners and data directory.
    pub config: String,
    /// It listens for AMQP over TLS, too; the file must name a certificate.
    pub tls: bool,
    /// The data is on a disk rather than in memory, where syncing costs nothing.
    pub on_disk: bool,
    /// The data is in a directory that another broker has.
    pub data_dir: Option<PathBuf>,
    /// It listens for AMQP here rather than at a free port.
    pub amqp: Option<SocketAddr>,
}

/// A broker that runs, or did and can again. It is killed when this is dropped.
#[derive(Debug)]
pub struct Broker {
    settings: Settings,
    folder: TempDir,
    running: Option<Running>,
    /// What it logged before it was ended.
    past: String,
}

#[derive(Debug)]
struct Running {
    process: Child,
    log: Arc<Log>,
    ready: Ready,
}

/// What a broker says when clients may come.
#[derive(Debug, Default, Deserialize)]
struct Ready {
    amqp: Option<SocketAddr>,
    amqps: Option<SocketAddr>,
    http: Option<SocketAddr>,
}

impl Broker {
    /// Starts one with everything as by default.
    pub fn start() -> anyhow::Result<Self> {
        Self::with(Settings::default())
    }

    /// Starts one with an empty data directory, and returns when it is ready.
    pub fn with(settings: Settings) -> anyhow::Result<Self> {
        let mut broker = Self::prepare(settings)?;
        broker.restart()?;
        Ok(broker)
    }

    /// All that a broker needs, without starting one.
    pub fn prepare(settings: Settings) -> anyhow::Result<Self> {
        let folder = if settings.on_disk {
            tempfile::tempdir()
        } else {
            tempfile::tempdir_in(memory())
        };
        Ok(Self {
            settings,
            folder: folder?,
            running: None,
            past: String::new(),
        })
    }

    /// Starts it on the data directory that it had, at new addresses, and returns when it is ready.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        let running = self.running.insert(self.spawn()?);
        let line = running.log.line("\"message\":\"ready\"")?;
        running.ready = serde_json::from_str(&line)?;
        Ok(())
    }

    /// Starts it on the data directory that it had, and kills it before, while or after it becomes ready.
    pub fn start_and_kill(&mut self, after: Duration) -> anyhow::Result<()> {
        self.kill()?;
        self.running = Some(self.spawn()?);
        // Not an event but a moment: any.
        std::thread::sleep(after);
        self.kill()
    }

    /// Starts one that is expected not to become ready. Returns how it ended, and what it said.
    pub fn refuse(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        let mut running = self.spawn()?;
        let ended = running.log.end();
        if ended.is_err() {
            running.process.kill()?;
        }
        let status = running.process.wait()?;
        ended?;
        Ok((status, running.log.text()))
    }

    /// Ends it as a crash would, with SIGKILL. Nothing happens if it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.process.kill()?;
            running.process.wait()?;
            running.log.end()?;
            self.past.push_str(&running.log.text());
            self.past.push_str("\n---- SIGKILL ----\n");
        }
        Ok(())
    }

    /// Asks it to stop (SIGTERM). To be followed by [`Broker::end`].
    pub fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) -> anyhow::Result<()> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.running()?.process.id())?;
        let pid = Pid::from_raw(pid).context("no process has number 0")?;
        kill_process(pid, signal)?;
        Ok(())
    }

    /// Writes another configuration file, without listeners and data directory. The broker is not told.
    pub fn configure(&mut self, config: &str) -> anyhow::Result<()> {
        config.clone_into(&mut self.settings.config);
        // At once, so that nobody reads the half of it.
        let aside = self.folder.path().join("aside.toml");
        std::fs::write(&aside, config)?;
        std::fs::rename(aside, self.config())?;
        Ok(())
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("amphora.toml")
    }

    /// Waits until it has ended by itself. Returns how, and what it said.
    pub fn end(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        self.running()?.log.end()?;
        let mut running = self.running.take().context("it runs")?;
        Ok((running.process.wait()?, running.log.text()))
    }

    /// A client that is logged in and in the virtual host `/`.
    pub fn connect(&self) -> anyhow::Result<Client> {
        self.login(&Login::default())
    }

    /// A client that introduced itself in this way.
    pub fn login(&self, login: &Login) -> anyhow::Result<Client> {
        let mut client = self.dial()?;
        client.login(login)?;
        Ok(client)
    }

    /// A client that has said nothing yet.
    pub fn dial(&self) -> anyhow::Result<Client> {
        Client::dial(self.amqp()?)
    }

    /// Where it speaks AMQP.
    pub fn amqp(&self) -> anyhow::Result<SocketAddr> {
        self.running()?
            .ready
            .amqp
            .context("it does not listen for AMQP")
    }

    /// Where it speaks AMQP over TLS, if it was asked to.
    pub fn amqps(&self) -> anyhow::Result<SocketAddr> {
        self.running()?
            .ready
            .amqps
            .context("it does not listen for TLS")
    }

    /// Where it speaks HTTP.
    pub fn http(&self) -> anyhow::Result<SocketAddr> {
        self.running()?
            .ready
            .http
            .context("it does not listen for HTTP")
    }

    /// Its process.
    pub fn pid(&self) -> anyhow::Result<u32> {
        Ok(self.running()?.process.id())
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        let own = || self.folder.path().join("data");
        self.settings.data_dir.clone().unwrap_or_else(own)
    }

    /// Waits until it has logged a line with this text in it.
    pub fn logged(&self, text: &str) -> anyhow::Result<String> {
        self.running()?.log.line(text)
    }

    /// Waits until it has logged so many lines with this text in them, and returns all that it has.
    pub fn lines_logged(&self, text: &str, count: usize) -> anyhow::Result<Vec<String>> {
        self.running()?.log.lines(text, count)
    }

    /// How many lines with this text it has logged so far.
    pub fn count_logged(&self, text: &str) -> anyhow::Result<usize> {
        let log = self.running()?.log.text();
        Ok(log.lines().filter(|line| line.contains(text)).count())
    }

    /// From now on, nobody reads its log, which fills a pipe; or everything again.
    pub fn leave_log_unread(&self, unread: bool) -> anyhow::Result<()> {
        self.running()?.log.leave_unread(unread);
        Ok(())
    }

    /// Waits until it has ended by itself, though nobody reads its log. To be followed by [`Broker::end`].
    pub fn end_unread(&mut self) -> anyhow::Result<()> {
        let running = self.running.as_mut().context("the broker does not run")?;
        let deadline = Instant::now() + PATIENCE;
        while running.process.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Running> {
        let config = self.config();
        std::fs::write(&config, &self.settings.config)?;
        let mut command = Command::new(crate::binary()?);
        command.args(["serve", "--log-format=json", "--config"]);
        command.arg(&config).arg("--data-dir").arg(self.data_dir());
        command.args(["--http-listen", ANYWHERE, "--amqp-listen"]);
        match self.settings.amqp {
            Some(address) => command.arg(address.to_string()),
            None => command.arg(ANYWHERE),
        };
        if self.settings.tls {
            command.args(["--amqps-listen", ANYWHERE]);
        }
        // What the environment says of a broker is meant for another one.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"AMPHORA_") {
                command.env_remove(name);
            }
        }
        let mut process = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = process.stderr.take().context("its log is not to be had")?;
        Ok(Running {
            process,
            log: Log::follow(log),
            ready: Ready::default(),
        })
    }

    fn running(&self) -> anyhow::Result<&Running> {
        self.running.as_ref().context("the broker does not run")
    }
}

impl Drop for Broker {
    #[expect(
        clippy::print_stderr,
        reason = "shown for a test that fails, to understand it"
    )]
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to be done.
        let _ = self.kill();
        eprintln!("---- what the broker logged ----\n{}", self.past);
    }
}

/// A file system without a disk, if there is one.
fn memory() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() {
        shared.to_owned()
    } else {
        std::env::temp_dir()
    }
}
