//! What a load shows on stderr while it goes on.

use amphora_tests::Broker;

use super::interrupt::Load;
use super::{Limit, perf};

#[test]
fn connections_are_counted_while_they_open_and_churn() -> anyhow::Result<()> {
    // It has no room for all of them, so that the others wait.
    let full = Limit::start(20, &[])?;
    let mut load = Load::start(&["connections", &full.uri(), "--open=50"])?;
    load.await_said(" of 50 connections")?;
    let limit = Limit::start(1000, &[])?;
    let pid = format!("--pid={}", limit.process.id());
    let load = ["connections", &limit.uri(), &pid, "--open=7"];
    let lengths = ["--hold=1.5", "--churn=60m"];
    let mut load = Load::start(&[&load[..], &lengths].concat())?;
    load.await_said("hold       7 connections")?;
    load.await_said("churn      ")
}

#[test]
fn a_quiet_load_shows_nothing() -> anyhow::Result<()> {
    let limit = Limit::start(1000, &[])?;
    let output = perf(&["connections", &limit.uri(), "--open=1", "--churn=1.5"])?;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr)?, "");
    Ok(())
}

#[test]
fn the_wait_for_a_queue_to_grow_is_shown() -> anyhow::Result<()> {
    let broker = Broker::start()?;
    // What no binding matches is in no queue.
    let mut load = Load::start(&[
        "throughput",
        &format!("--uri=amqp://{}", broker.amqp()?),
        "--exchange-type=headers",
        "--binding-argument=header-0=other",
        "--headers=2",
        "--publish-only",
        "--count=10",
        "--settle=60m",
    ])?;
    load.await_said("settle")
}
