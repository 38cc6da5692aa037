//! The load generator as its users meet it: what it prints and when it fails.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use amphora_tests::{Broker, binary};
use anyhow::{Context, ensure};
use serde_json::Value;

mod guide;
mod interrupt;
mod progress;

/// A frame limit of its own; it ends with this value.
struct Limit {
    process: Child,
    address: String,
}

impl Limit {
    /// Starts one with `options`, and no more than `files` open files.
    fn start(files: usize, options: &[&OsStr]) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
            .arg(binary()?)
            .args(["perf", "limit", "--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().context("no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ");
        let address = address.with_context(|| format!("it says {line:?}"))?;
        Ok(Self {
            address: address.to_owned(),
            process,
        })
    }

    fn uri(&self) -> String {
        format!("--uri=amqp://{}", self.address)
    }

    fn complaints(&mut self) -> anyhow::Result<BufReader<ChildStderr>> {
        Ok(BufReader::new(
            self.process.stderr.take().context("no stderr")?,
        ))
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // It may have ended already; there is nothing more to do about it then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn perf(arguments: &[&str]) -> anyhow::Result<Output> {
    Ok(Command::new(binary()?)
        .arg("perf")
        .args(arguments)
        .arg("--quiet")
        .output()?)
}

/// What a load printed, which must be clean.
fn succeed(arguments: &[&str]) -> anyhow::Result<String> {
    let output = perf(arguments)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

fn fail(arguments: &[&str]) -> anyhow::Result<String> {
    let output = perf(arguments)?;
    ensure!(!output.status.success(), "{arguments:?} succeeds");
    Ok(String::from_utf8(output.stderr)?)
}

fn json(path: &Path) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[test]
fn a_comparison_has_a_row_for_each_scenario_and_broker() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (log, results) = (folder.path().join("log"), folder.path().join("results"));
    let text = succeed(&[
        "compare",
        "--limit",
        &format!("--limit-log={}", log.display()),
        "--suite=quick",
        "--scenario=t16,lat5k,p1,churn",
        "--runs=1",
        &format!("--json={}", results.display()),
    ])?;
    let found = json(&results)?;
    let rows = found["rows"].as_array().context("no rows")?;
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row["scenario"].as_str(), row["broker"].as_str()))
        .collect();
    let expected = [
        ("t16", "limit"),
        ("lat5k", "limit"),
        ("p1", "limit"),
        ("p1", "limit+fsync"),
        ("churn", "limit"),
    ];
    assert_eq!(
        names,
        expected.map(|(scenario, broker)| (Some(scenario), Some(broker)))
    );
    for row in rows {
        let median = &row["median"];
        assert!(median["messages_per_second"].as_f64() > Some(0.0), "{row}");
        assert_eq!(median["faults"], 0, "{row}");
    }
    let counted = rows.iter().map(|row| row["counted"].as_str());
    let mut expected = [Some("messages"); 5];
    expected[4] = Some("connections");
    assert!(counted.eq(expected), "{found}");
    assert!(rows[4]["median"]["latency_p50_ns"].is_u64(), "{}", rows[4]);
    assert_eq!(rows[1]["outcomes"][0]["pace"]["asked_per_second"], 5000);
    assert!(found["fsync"]["p50_ns"].as_u64() > Some(0), "{found}");
    assert_eq!(rows[2]["median"]["syncs"], Value::Null);
    let outcome = &rows[3]["outcomes"][0];
    let syncs = &rows[3]["median"]["syncs"];
    assert_eq!(outcome["syncs"], *syncs);
    // Nothing is gathered where each message waits for the last one's confirm.
    assert_eq!(syncs["count"], outcome["published"]["count"]);
    assert!(syncs["p50_ns"].as_u64() > Some(0), "{syncs}");
    let sizes = syncs["bytes"].as_u64().zip(syncs["count"].as_u64());
    assert!(
        sizes.is_some_and(|(bytes, count)| bytes > 1024 * count),
        "{syncs}"
    );
    assert!(found["date"].as_str() > Some("2026-"), "{found}");
    for part in [
        "1/1 t16",
        "1/1 p1          limit+fsync",
        "Medians of 1 runs",
        "An fsync of an appended KiB, in a loop: p50",
        "\np1 on limit+fsync: ",
        "--scenario=t16,lat5k,p1,churn --runs=1",
        " conn/s ",
        "\nchurn: connections with a channel each, opened and closed, in place of messages\n",
        "| lat5k    | limit",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    Ok(())
}

#[test]
fn a_broker_without_an_exchange_type_says_so_in_the_table() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let results = folder.path().join("results");
    let json_file = format!("--json={}", results.display());
    let broker = Broker::start()?;
    let uri = format!("--broker=it=amqp://{}", broker.amqp()?);
    let one =
        "--own-scenario=ring=-t x-consistent-hash --binding-key 1 --routing-keys 20 --count 100";
    let other = "--own-scenario=none=--exchange-type x-none --like topic --count 100";
    let arguments = [
        "compare", &uri, "--limit", one, other, "--runs=2", &json_file,
    ];
    // It is the only broker, so that nobody has that type.
    let output = perf(&arguments)?;
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr)?;
    assert!(
        error.contains("none: no broker has the exchange type 'x-none'"),
        "{error}"
    );
    let found = json(&results)?;
    let rows = found["rows"].as_array().context("no rows")?;
    let names: Vec<_> = rows
        .iter()
        .map(|row| (row["scenario"].as_str(), row["broker"].as_str()))
        .collect();
    let expected = [("ring", "it"), ("none", "limit"), ("none", "it")];
    assert_eq!(
        names,
        expected.map(|(scenario, broker)| (Some(scenario), Some(broker)))
    );
    for row in &rows[..2] {
        assert!(row["median"]["messages_per_second"].is_f64(), "{row}");
        assert_eq!(row["lacks"], Value::Null);
    }
    assert_eq!(rows[2]["lacks"]["exchange_type"], "x-none");
    assert_eq!(rows[2]["errors"], Value::Array(Vec::new()));
    let text = String::from_utf8(output.stdout)?;
    for part in [
        "no x-none",
        "none on it: the broker has no exchange type 'x-none': ",
        "406 PRECONDITION_FAILED - unknown exchange type 'x-none'",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    Ok(())
}

#[test]
fn arguments_of_bindings_are_sent() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let uri = format!("--uri=amqp://{}", broker.amqp()?);
    let load = ["throughput", &uri, "--exchange-type=headers", "--count=100"];
    let both = ["--binding-argument=header-0=value", "--headers=2"];
    succeed(&[&load[..], &both].concat())?;
    // What the broker is told to want and no message has keeps all of them away.
    let other = [
        "--binding-argument=header-0=other",
        "--headers=2",
        "--settle=0.1",
    ];
    let error = fail(&[&load[..], &other].concat())?;
    assert!(error.contains("for 100 messages"), "{error}");
    Ok(())
}

#[test]
fn options_that_make_no_sense_are_wrong_usage() -> anyhow::Result<()> {
    let refuse = |arguments: &[&str], says: &str| {
        let output = perf(arguments)?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = String::from_utf8(output.stderr)?;
        assert!(error.contains(says), "{arguments:?}: {error}");
        anyhow::Ok(())
    };
    refuse(&["throughput", "--size=8"], "--size is at least 16")?;
    refuse(&["latency", "--prefetch=10"], "needs --ack-every")?;
    refuse(&["connections", "--threads=0"], "--threads <N>")?;
    refuse(&["connections", "--at-once=0"], "--at-once <N>")?;
    refuse(&["compare", "--limit", "--runs=0"], "--runs <N>")?;
    refuse(&["compare"], "give a --broker or --limit")?;
    Ok(())
}

#[test]
fn connections_have_their_costs() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let (uri, pid) = (
        format!("--uri=amqp://{}", broker.amqp()?),
        format!("--pid={}", broker.pid()?),
    );
    let text = succeed(&[
        "connections",
        &uri,
        &pid,
        "--open=50",
        "--hold=0.1",
        "--churn=1",
        "--json",
    ])?;
    let found: Value = serde_json::from_str(&text)?;
    assert_eq!(found["opened"]["count"], 50);
    assert!(
        found["held"]["idle_seconds"].as_f64() >= Some(0.1),
        "{found}"
    );
    assert!(found["churned"]["count"].as_u64() > Some(0), "{found}");
    for cost in ["churn_cost", "churn_own_cost"] {
        let each = &found[cost]["cpu_us_per_connection"];
        assert!(each.as_f64() > Some(0.0), "{cost}: {found}");
    }
    let error = fail(&["connections", &uri, "--hold=1"])?;
    assert!(error.contains("--pid"), "{error}");
    Ok(())
}

#[test]
fn a_warm_up_comes_before_the_duration() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    let text = succeed(&[
        "latency",
        &format!("--uri=amqp://{}", broker.amqp()?),
        &format!("--pid={}", broker.pid()?),
        "--rate=1000",
        "--warm-up=1",
        "--duration=0.5",
        "--confirm=100",
        "--json",
    ])?;
    let found: Value = serde_json::from_str(&text)?;
    let count = |part: &str, name: &str| found[part][name].as_u64().unwrap_or_default();
    assert_eq!(found["tally"]["distinct"], 1500);
    assert_eq!(
        count("warm_up", "published") + count("published", "count"),
        1500
    );
    assert!(count("warm_up", "published") >= 500, "{found}");
    assert!(count("latency", "count") <= 1000, "{found}");
    assert!(found["cost"]["cpu_seconds"].is_f64(), "{found}");
    let error = fail(&["throughput", "--warm-up=1", "--count=10"])?;
    assert!(error.contains("cannot be used with"), "{error}");
    Ok(())
}

#[test]
fn a_limit_with_a_log_writes_all_of_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let limit = Limit::start(1000, &["--log".as_ref(), log.as_os_str()])?;
    let text = succeed(&[
        "throughput",
        &limit.uri(),
        "-x3",
        "--count=900",
        "--size=1000",
        "--persistent",
        "--confirm=10",
    ])?;
    assert!(
        text.contains("0 lost, 0 disordered, 0 duplicates"),
        "{text}"
    );
    assert!(std::fs::metadata(&log)?.len() > 900 * 1000);
    Ok(())
}

#[test]
fn a_limit_without_room_goes_on_when_there_is_some() -> anyhow::Result<()> {
    let mut limit = Limit::start(20, &[])?;
    let crowd: Vec<_> = (0..30)
        .map(|_| TcpStream::connect(&limit.address))
        .collect::<Result<_, _>>()?;
    let mut line = String::new();
    limit.complaints()?.read_line(&mut line)?;
    assert!(line.contains("a connection has to wait"), "{line}");
    drop(crowd);
    succeed(&["throughput", &limit.uri(), "--count=100"]).map(drop)
}
