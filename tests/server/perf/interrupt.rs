//! What a signal does to a load.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Instant;

use amphora_tests::{Broker, PATIENCE, binary};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Limit, json};

/// A load that goes on; it ends with this value.
pub(super) struct Load {
    process: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
}

impl Load {
    pub(super) fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut process = Command::new(binary()?)
            .arg("perf")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        Ok(Self {
            process,
            stdout: BufReader::new(stdout.context("no stdout")?),
            stderr: BufReader::new(stderr.context("no stderr")?),
        })
    }

    /// Waits until it says something that contains `text`, on stderr.
    pub(super) fn await_said(&mut self, text: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            let read = self.stderr.read_line(&mut line)?;
            ensure!(read > 0, "it ends without saying {text:?}");
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        send(&self.process, signal)
    }

    /// How it ends, and what it has printed.
    fn end(&mut self) -> anyhow::Result<(ExitStatus, String)> {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text)?;
        Ok((self.process.wait()?, text))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already; there is nothing more to do about it then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn send(process: &Child, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(process.id())?;
    kill_process(
        Pid::from_raw(pid).context("no process has number 0")?,
        signal,
    )?;
    Ok(())
}

/// What the broker's management API has at this path.
fn list(broker: &Broker, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut answer = ureq::get(format!("http://{}/api/{path}", broker.http()?))
        .header("authorization", "Basic Z3Vlc3Q6Z3Vlc3Q=")
        .call()?;
    Ok(serde_json::from_str(&answer.body_mut().read_to_string()?)?)
}

#[test]
fn a_signal_ends_a_load_as_if_its_time_were_over() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let uri = format!("--uri=amqp://{}", broker.amqp()?);
    let mut load = Load::start(&[
        "throughput",
        &uri,
        "--confirm=100",
        "--ack-every=10",
        "--prefetch=100",
        "--duration=60m",
    ])?;
    load.await_said("publish")?;
    load.signal(Signal::INT)?;
    let (status, text) = load.end()?;
    assert_eq!(status.code(), Some(130), "{text}");
    for part in [
        "interrupted  a signal ended it",
        "0 lost, 0 disordered, 0 duplicates\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert_eq!(list(&broker, "queues")?, [] as [Value; 0]);
    let mut load = Load::start(&["latency", &uri, "--rate=500", "--duration=60m", "--json"])?;
    load.await_said("publish")?;
    load.signal(Signal::TERM)?;
    let (status, text) = load.end()?;
    assert_eq!(status.code(), Some(143), "{text}");
    let found: Value = serde_json::from_str(&text)?;
    assert_eq!(found["interrupted"], true);
    assert_eq!(found["pace"]["unsent"], 0);
    assert_eq!(found["latency"]["count"], found["published"]["count"]);
    Ok(())
}

#[test]
fn a_signal_ends_the_waiting_of_connections() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let mut load = Load::start(&[
        "connections",
        &format!("--uri=amqp://{}", broker.amqp()?),
        &format!("--pid={}", broker.pid()?),
        "--open=5",
        "--hold=60m",
        "--churn=60m",
        "--json",
    ])?;
    let deadline = Instant::now() + PATIENCE;
    while list(&broker, "channels")?.len() < 5 {
        ensure!(Instant::now() < deadline, "it does not open 5 connections");
    }
    load.signal(Signal::INT)?;
    let (status, text) = load.end()?;
    assert_eq!(status.code(), Some(130), "{text}");
    let found: Value = serde_json::from_str(&text)?;
    assert_eq!(found["interrupted"], true);
    assert_eq!(found["opened"]["count"], 5);
    assert!(found["held"]["rss_kib"].as_u64() > Some(0), "{found}");
    assert_eq!(found["churned"], Value::Null);
    Ok(())
}

#[test]
fn a_comparison_keeps_the_runs_before_the_signal() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let results = folder.path().join("results");
    let mut load = Load::start(&[
        "compare",
        "--limit",
        "--suite=quick",
        "--scenario=t16",
        "--runs=100",
        &format!("--json={}", results.display()),
    ])?;
    let mut first = String::new();
    load.stdout.read_line(&mut first)?;
    assert!(first.starts_with("1/100 t16"), "{first}");
    load.signal(Signal::TERM)?;
    let (status, text) = load.end()?;
    assert_eq!(status.code(), Some(143), "{text}");
    for part in [
        "Medians of at most 100 runs",
        "runs are missing",
        "| t16 ",
        " of 100 |\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    let found = json(&results)?;
    assert_eq!(found["interrupted"], true);
    let counted = found["rows"][0]["outcomes"].as_array();
    let counted = counted.context("no outcomes")?;
    assert!((1..100).contains(&counted.len()), "{found}");
    for outcome in counted {
        assert_eq!(outcome["interrupted"], false);
    }
    Ok(())
}

#[test]
fn a_second_signal_waits_for_nothing() -> anyhow::Result<()> {
    let limit = Limit::start(1000, &[])?;
    let mut load = Load::start(&["throughput", &limit.uri(), "--duration=60m"])?;
    load.await_said("publish")?;
    // What is outstanding does not come any more.
    send(&limit.process, Signal::STOP)?;
    load.signal(Signal::TERM)?;
    load.await_said("interrupted: waiting")?;
    load.signal(Signal::INT)?;
    let (status, text) = load.end()?;
    assert_eq!((status.code(), text.as_str()), (Some(130), ""));
    Ok(())
}
